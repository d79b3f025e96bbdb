// Judges the table of tests/crd/testdata/rules.json by the rules (x-kubernetes-validations) of the CRDs, as an API server
// does: at every value that the schema describes, with `self` typed by it. Usage: cel_rules.mjs CRDS.json RULES.json,
// CRDS.json an array of CustomResourceDefinitions. Prints "all <rules> rules, <cases> cases" or what differs.
import {readFileSync} from 'node:fs'
import {createRequire} from 'node:module'
import {pathToFileURL} from 'node:url'

const require = createRequire(process.env.NPM_PACKAGES)
const {Environment} = await import(pathToFileURL(require.resolve('@marcbachmann/cel-js')))

const environment = new Environment({unlistedVariablesAreDyn: true})
// Words of CEL, which Kubernetes writes as __word__ where they are the name of a field.
const words = new Set(['true', 'false', 'null', 'in', 'as', 'break', 'const', 'continue', 'else', 'for', 'function',
  'if', 'import', 'let', 'loop', 'package', 'namespace', 'return'])
const escaped = name => words.has(name) ? `__${name}__` : name
const duration = text => environment.evaluate('duration(text)', {text})

// A value as CEL sees it in Kubernetes.
function typed(value, schema) {
  if (value === undefined || schema === undefined) return value
  if (Array.isArray(value)) return value.map(item => typed(item, schema.items))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => schema.additionalProperties
      ? [name, typed(member, schema.additionalProperties)]
      : [escaped(name), typed(member, schema.properties?.[name])]))
  }
  if (schema.type === 'integer') return BigInt(value)
  if (schema.format === 'duration') return duration(value)
  return value
}

// Every rule below `schema` with the value that it is for. `old` undefined: the object is new.
function* applicable(schema, value, old, path) {
  if (value === undefined || value === null) return
  for (const rule of schema['x-kubernetes-validations'] ?? []) yield {rule, schema, value, old, path}
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) yield* applicable(schema.items ?? {}, item, undefined, `${path}[${i}]`)
  } else if (typeof value === 'object') {
    for (const [name, member] of Object.entries(value)) {
      const child = schema.additionalProperties ?? schema.properties?.[name]
      if (child === undefined) throw new Error(`${path}.${name} is not in the schema`)
      yield* applicable(child, member, old?.[name], `${path}.${name}`)
    }
  }
}

const [crds, table] = process.argv.slice(2).map(file => JSON.parse(readFileSync(file, 'utf8')))
const schemas = Object.fromEntries(crds.map(crd =>
  [crd.spec.names.kind, crd.spec.versions[0].schema.openAPIV3Schema.properties.spec]))
const all = new Map()
const collect = (schema, kind) => {
  for (const rule of schema['x-kubernetes-validations'] ?? [])
    all.set(`${kind}: ${rule.rule}`, {judged: 0, refused: 0, taken: 0})
  for (const child of [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties])
    if (child && typeof child === 'object') collect(child, kind)
}
for (const [kind, schema] of Object.entries(schemas)) collect(schema, kind)

let wrong = 0
const complain = text => { console.log(text); wrong++ }
for (const each of table.cases) {
  const refused = new Set()
  for (const {rule, schema, value, old, path} of applicable(schemas[each.kind], each.spec, each.oldSpec, 'spec')) {
    const transition = rule.rule.includes('oldSelf')
    if (transition && old === undefined) continue
    const seen = all.get(`${each.kind}: ${rule.rule}`)
    seen.judged++
    try {
      const context = {self: typed(value, schema)}
      if (transition) context.oldSelf = typed(old, schema)
      const holds = environment.evaluate(rule.rule, context)
      if (holds === true) seen.taken++
      else if (holds === false) { seen.refused++; refused.add(rule.message) }
      else complain(`${each.name}: ${path}: ${rule.rule} is ${holds}`)
    } catch (error) {
      complain(`${each.name}: ${path}: ${rule.rule}: ${error.message}`)
    }
  }
  const expected = new Set(each.refused ?? [])
  for (const message of expected) if (!refused.has(message)) complain(`${each.name}: was not refused by: ${message}`)
  for (const message of refused) if (!expected.has(message)) complain(`${each.name}: was refused by: ${message}`)
}
for (const [rule, {refused, taken}] of all) {
  if (refused === 0) complain(`no case is refused by ${rule}`)
  if (taken === 0) complain(`no case is taken by ${rule}`)
}
if (wrong === 0) console.log(`all ${all.size} rules, ${table.cases.length} cases`)
process.exit(wrong === 0 ? 0 : 1)
