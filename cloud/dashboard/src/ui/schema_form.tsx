// A form made from a JSON schema. `raw`: what it holds may also be typed as JSON, which is the only way where fields can't say it.
import { type FormEvent, type ReactNode, useId, useMemo, useState } from "react";
import { argumentsOf, draftOf, faultsOf, type Field, fieldsOf, formSays, jsonOf, type JsonSchema, ownText, parseObject, textsOf } from "../lib/form";

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

interface FormProps {
  schema: JsonSchema;
  action: ReactNode;
  submit(args: Record<string, unknown>): void;
  busy?: boolean;
  raw?: boolean;
  note?: ReactNode; // in a dialog: stands above the buttons, which are in the order of all dialogs
  children?: ReactNode; // more buttons
}

export function SchemaForm({ schema, action, submit, busy = false, raw = false, note, children }: FormProps) {
  const fields = useMemo(() => fieldsOf(schema), [schema]);
  const says = useMemo(() => formSays(schema), [schema]);
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [json, setJson] = useState(says ? undefined : jsonOf(draftOf(fields, {}))); // undefined: fields are shown
  const [problems, setProblems] = useState<Record<string, string>>({});
  const base = useId();
  const sendJson = (text: string) => {
    const parsed = parseObject(text);
    const problem = "problem" in parsed ? parsed.problem : faultsOf(schema, parsed.args).join("\n");
    setProblems(problem === "" ? {} : { "": problem });
    if (problem !== "") document.getElementById(base)?.focus();
    else if ("args" in parsed) submit(parsed.args);
  };
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (json !== undefined) return sendJson(json);
    const { args, problems: found } = argumentsOf(fields, texts);
    setProblems(found);
    const [first] = Object.keys(found);
    if (first !== undefined) document.getElementById(`${base}${first}`)?.focus();
    else submit(args);
  };
  // Nothing that was typed is lost by it: where the fields have no place for something, it stays as it is.
  const turn = () => {
    setProblems({});
    if (json === undefined) return setJson(jsonOf(draftOf(fields, texts)));
    const parsed = parseObject(json);
    if ("problem" in parsed) return setProblems({ "": parsed.problem });
    const { texts: next, beyond } = textsOf(fields, parsed.args);
    if (beyond.length > 0) return setProblems({ "": `the form has no place for ${beyond.join(", ")}` });
    setTexts(next);
    setJson(undefined);
  };
  return (
    <form className="schema-form" onSubmit={send} noValidate>
      {(raw || !says) && (
        <div className="field check">
          <label htmlFor={`${base}raw`}>As JSON</label>
          <input id={`${base}raw`} type="checkbox" checked={json !== undefined} disabled={!says} onChange={turn} />
          {!says && <p className="muted small">Its schema says more than fields can: see it below.</p>}
        </div>
      )}
      {json !== undefined && (
        <div className="field">
          <label htmlFor={base}>
            Arguments <span className="muted small">JSON</span>
          </label>
          <textarea id={base} rows={8} className="mono" value={json} spellCheck={false} aria-describedby={`${base}about`} aria-invalid={problems[""] !== undefined} onChange={(event) => setJson(event.target.value)} />
          <p id={`${base}about`} className={problems[""] === undefined ? "muted small" : "problem lines"} role={problems[""] === undefined ? undefined : "alert"}>
            {problems[""] ?? "Held against the schema before it is sent."}
          </p>
        </div>
      )}
      {json === undefined && fields.length === 0 && <p className="muted">It takes no arguments.</p>}
      {json === undefined &&
        fields.map((field) => {
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
      {note}
      <div className={note === undefined ? "form-end" : "dialog-end"}>
        {note !== undefined && children}
        <button type="submit" className="button primary" disabled={busy}>
          {action}
        </button>
        {note === undefined && children}
      </div>
    </form>
  );
}
