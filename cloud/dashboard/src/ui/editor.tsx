// The YAML editor: completion from the schemas, faults from the Worker's own judgement.
import { autocompletion, closeBrackets, closeBracketsKeymap, type CompletionContext, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, indentOnInput, indentUnit } from "@codemirror/language";
import { type Diagnostic, forceLinting, linter, lintGutter, lintKeymap } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "react";
import crd from "../api/crd.json";
import { type EditorSchema, placeAt, suggest } from "../lib/complete";
import type { Fault } from "../lib/manifest";
import { codeTheme } from "./code_theme";

const KINDS = crd as unknown as Record<string, EditorSchema>;
const PAUSE_MS = 350;

function complete(context: CompletionContext) {
  const place = placeAt(context.state.doc.toString(), context.pos);
  if (place.typed === "" && !context.explicit && place.key === undefined) return null;
  const options = suggest(KINDS, place).map(({ label, detail, info, insert }) => ({ label, detail, info: info === "" ? undefined : info, apply: insert, type: place.key === undefined ? "property" : "enum" }));
  return options.length === 0 ? null : { from: context.pos - place.typed.length, options: options.map(({ info, ...rest }) => (info === undefined ? rest : { ...rest, info })), validFor: /^[\w./-]*$/ };
}

export interface EditorProps {
  initial: string;
  label: string;
  judge(text: string): Promise<Fault[]>;
  change(text: string): void;
  submit(): void; // Ctrl-Enter
}

export default function Editor({ initial, label, judge, change, submit }: EditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const latest = useRef({ judge, change, submit });
  latest.current = { judge, change, submit };
  useEffect(() => {
    const source = async (view: EditorView): Promise<Diagnostic[]> => {
      const length = view.state.doc.length;
      const faults = await latest.current.judge(view.state.doc.toString());
      return faults.map(({ from, to, message, hint }) => ({ from: Math.min(from, length), to: Math.min(Math.max(to, from), length), severity: "error", message: hint === undefined ? message : `${message}\n${hint}` }));
    };
    const view = new EditorView({
      parent: place.current!,
      state: EditorState.create({
        doc: initial,
        extensions: [
          lineNumbers(),
          highlightActiveLine(),
          highlightActiveLineGutter(),
          history(),
          drawSelection(),
          indentOnInput(),
          indentUnit.of("  "),
          bracketMatching(),
          closeBrackets(),
          yaml(),
          autocompletion({ override: [complete], icons: false }),
          linter(source, { delay: PAUSE_MS }),
          lintGutter(),
          // Escape, then Tab leaves the editor: the keyboard is not caught in it.
          keymap.of([{ key: "Mod-Enter", run: () => (latest.current.submit(), true) }, ...closeBracketsKeymap, ...completionKeymap, ...lintKeymap, ...historyKeymap, ...defaultKeymap, indentWithTab]),
          EditorView.contentAttributes.of({ "aria-label": label }),
          EditorView.updateListener.of((update) => update.docChanged && latest.current.change(update.state.doc.toString())),
          codeTheme,
        ],
      }),
    });
    forceLinting(view);
    return () => view.destroy();
  }, [initial, label]);
  return <div className="editor" ref={place} />;
}
