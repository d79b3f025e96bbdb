import type { CallToolResult } from "../lib/mcp";

const IMAGE = /^image\/(png|jpeg|gif|webp)$/;
const SHOWN = 200_000; // characters of one text

function Content({ item }: { item: CallToolResult["content"][number] }) {
  if (item.type === "text")
    return (
      <pre className="output" tabIndex={0}>
        {item.text.slice(0, SHOWN)}
        {item.text.length > SHOWN && `\n… ${item.text.length - SHOWN} more characters`}
      </pre>
    );
  // Bytes as a picture, never as a document: SVG is not among them.
  if (item.type === "image" && IMAGE.test(item.mimeType)) return <img className="result-image" src={`data:${item.mimeType};base64,${item.data}`} alt="What the tool gave" />;
  if (item.type === "resource_link") return <p className="mono break">{item.uri}</p>;
  return (
    <pre className="output" tabIndex={0}>
      {JSON.stringify(item, null, 2).slice(0, SHOWN)}
    </pre>
  );
}

export function ToolResult({ result, ms }: { result: CallToolResult; ms: number }) {
  return (
    <div className="result">
      <h3>
        {result.isError ? <span className="bad-text">The tool reports an error</span> : "Result"} <span className="muted small">{ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`}</span>
      </h3>
      {result.content.map((item, index) => (
        <Content key={index} item={item} />
      ))}
      {result.structuredContent !== undefined && (
        <details>
          <summary>Structured</summary>
          <pre className="output" tabIndex={0}>
            {JSON.stringify(result.structuredContent, null, 2).slice(0, SHOWN)}
          </pre>
        </details>
      )}
    </div>
  );
}
