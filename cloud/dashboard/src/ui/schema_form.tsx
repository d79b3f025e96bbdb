// A form made from a JSON schema.
import { type FormEvent, type ReactNode, useId, useMemo, useState } from "react";
import { argumentsOf, type Field, fieldsOf, type JsonSchema, ownText } from "../lib/form";

function Input({ field, id, value, change, problem }: { field: Field; id: string; value: string; change(value: string): void; problem: string | undefined }) {
  const common = { id, "aria-describedby": `${id}-about`, "aria-invalid": problem !== undefined, "aria-required": field.required };
  if (field.kind === "boolean") return <input {...common} type="checkbox" checked={value === "true"} onChange={(event) => change(String(event.target.checked))} />;
  if (field.kind === "choice")
    return (
      <select {...common} className="select" value={value} onChange={(event) => change(event.target.value)}>
        {(!field.required || value === "") && <option value="">—</option>}
        {field.choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    );
  if (field.kind === "long" || field.kind === "list" || field.kind === "json")
    return <textarea {...common} rows={field.kind === "json" ? 4 : 3} value={value} spellCheck={false} className={field.kind === "json" ? "mono" : ""} onChange={(event) => change(event.target.value)} />;
  const number = field.kind === "number" || field.kind === "integer";
  return <input {...common} type="text" inputMode={number ? "decimal" : "text"} value={value} autoComplete="off" spellCheck={false} onChange={(event) => change(event.target.value)} />;
}

const HINT: Partial<Record<Field["kind"], string>> = { list: "one on each line", json: "JSON" };

export function SchemaForm({ schema, action, submit, busy = false, children }: { schema: JsonSchema; action: ReactNode; submit(args: Record<string, unknown>): void; busy?: boolean; children?: ReactNode }) {
  const fields = useMemo(() => fieldsOf(schema), [schema]);
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [problems, setProblems] = useState<Record<string, string>>({});
  const base = useId();
  const send = (event: FormEvent) => {
    event.preventDefault();
    const { args, problems: found } = argumentsOf(fields, texts);
    setProblems(found);
    const [first] = Object.keys(found);
    if (first !== undefined) document.getElementById(`${base}${first}`)?.focus();
    else submit(args);
  };
  return (
    <form className="schema-form" onSubmit={send} noValidate>
      {fields.length === 0 && <p className="muted">It takes no arguments.</p>}
      {fields.map((field) => {
        const id = base + field.name;
        const problem = ownText(problems, field.name);
        return (
          <div key={field.name} className={field.kind === "boolean" ? "field check" : "field"}>
            <label htmlFor={id}>
              {field.label}
              {field.required && (
                <span className="needed" title="needed" aria-hidden>
                  *
                </span>
              )}
              {HINT[field.kind] !== undefined && <span className="muted small"> {HINT[field.kind]}</span>}
            </label>
            <Input field={field} id={id} value={ownText(texts, field.name) ?? field.initial} change={(value) => setTexts((all) => ({ ...all, [field.name]: value }))} problem={problem} />
            <p id={`${id}-about`} className={problem === undefined ? "muted small" : "problem"}>
              {problem ?? field.description}
            </p>
          </div>
        );
      })}
      <div className="form-end">
        <button type="submit" className="button primary" disabled={busy}>
          {action}
        </button>
        {children}
      </div>
    </form>
  );
}
