// What a server asks of the person while a tool runs.
import { useState } from "react";
import type { JsonSchema } from "../lib/form";
import type { Asked } from "../lib/mcp";
import { Modal } from "../ui/dialog";
import { SchemaForm } from "../ui/schema_form";

const textOf = (content: unknown): string => {
  const parts = Array.isArray(content) ? content : [content];
  return parts.map((part) => ((part as { type?: string }).type === "text" ? String((part as { text?: unknown }).text) : JSON.stringify(part).slice(0, 2000))).join("\n");
};

function Elicitation({ asked, done }: { asked: Extract<Asked, { kind: "elicitation" }>; done(): void }) {
  const answer = (result: Parameters<typeof asked.answer>[0]) => (asked.answer(result), done());
  const params = asked.params as { message: string; requestedSchema?: JsonSchema };
  return (
    <Modal open close={() => answer({ action: "cancel" })} title="The server asks" description={params.message}>
      <SchemaForm schema={params.requestedSchema ?? {}} action="Answer" note={<p className="muted small">It comes from the server, not from mcpfleet: never type a password.</p>} submit={(content) => answer({ action: "accept", content: content as Record<string, string> })}>
        <button type="button" className="button" onClick={() => answer({ action: "decline" })}>
          Decline
        </button>
      </SchemaForm>
    </Modal>
  );
}

function Sampling({ asked, done }: { asked: Extract<Asked, { kind: "sampling" }>; done(): void }) {
  const [text, setText] = useState("");
  const answer = (result: Parameters<typeof asked.answer>[0]) => (asked.answer(result), done());
  return (
    <Modal open close={() => answer(undefined)} title="The server asks for a model’s answer" description="There is no model here: you may answer in its place." wide>
      {asked.params.systemPrompt !== undefined && <pre className="output">{asked.params.systemPrompt}</pre>}
      {asked.params.messages.map((message, index) => (
        <div key={index} className="message">
          <span className="chip">{message.role}</span>
          <p className="break">{textOf(message.content)}</p>
        </div>
      ))}
      <label className="field">
        <span>Answer</span>
        <textarea rows={4} value={text} onChange={(event) => setText(event.target.value)} />
      </label>
      <div className="dialog-end">
        <button type="button" className="button" onClick={() => answer(undefined)}>
          Decline
        </button>
        <button type="button" className="button primary" disabled={text === ""} onClick={() => answer({ role: "assistant", model: "a person", stopReason: "endTurn", content: { type: "text", text } })}>
          Answer
        </button>
      </div>
    </Modal>
  );
}

export function AskedDialog({ asked, done }: { asked: Asked; done(): void }) {
  return asked.kind === "elicitation" ? <Elicitation asked={asked} done={done} /> : <Sampling asked={asked} done={done} />;
}
