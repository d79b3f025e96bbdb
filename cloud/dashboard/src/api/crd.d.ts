// Made by npm run generate from crd/*.yaml.
/**
 * An MCP server that every node it is placed on keeps running. It is Ready when it answers the MCP handshake.
 */
export interface MCPServer {
/**
 * Version of this schema, mcpfleet.dev/v1alpha1.
 */
apiVersion?: string
/**
 * MCPServer.
 */
kind?: string
metadata?: {
/**
 * Name, unique in its namespace; an RFC 1123 label.
 */
name?: string
}
/**
 * What shall run.
 */
spec: {
/**
 * Where the server comes from. Exactly one of image, package, process, remote.
 */
source: {
/**
 * A container image.
 */
image?: {
/**
 * Reference of the image; with a digest it can never change under you.
 */
ref: string
/**
 * When to ask the registry. Always asks before each new instance; Never uses only what the node has.
 */
pullPolicy?: ("IfNotPresent" | "Always" | "Never")
/**
 * MCPSecret in the server's namespace with what the registry asks for, either .dockerconfigjson (a Docker config file) or username and password.
 */
pullSecret?: string
}
/**
 * A package that the node installs without running its scripts and starts in its own sandbox.
 */
package?: {
/**
 * Which registry and installer.
 */
manager: ("npm" | "pypi")
/**
 * Name of the package, with its scope.
 */
name: string
/**
 * Exact version; no ranges and no tags, so that every node runs the same.
 */
version: string
/**
 * Checksum of the package file, sha512-<base64> for npm (as in its lock file) or sha256-<hex> for pypi. A file that differs is refused.
 */
integrity?: string
}
/**
 * A program that is already on the node.
 */
process?: {
/**
 * Absolute path of the executable on the node.
 */
path: string
/**
 * SHA-256 of the executable in hex. A file that differs is not started.
 */
sha256?: string
}
/**
 * A server that runs elsewhere and is only watched; it is verified over MCP like any other and reached at its own URL. It speaks streamable-http.
 */
remote?: {
/**
 * Its MCP endpoint; https, or http on a loopback address.
 */
url: string
/**
 * Headers sent with each request. Every node can read `value`; what nobody may read comes from a secret.
 * 
 * @maxItems 32
 * 
 * Items: One header. Exactly one of value and valueFrom.
 */
headers?: {
/**
 * Name of the header.
 */
name: string
/**
 * Value of the header, printable ASCII.
 */
value?: string
/**
 * Where the value comes from instead.
 */
valueFrom?: {
/**
 * A value of an MCPSecret in the server's namespace; in Kubernetes, of a Secret when there is no MCPSecret of that name.
 */
secretKeyRef: {
/**
 * Name of the secret.
 */
name: string
/**
 * Which of its values.
 */
key: string
}
}
}[]
}
}
/**
 * Replaces the program that the source starts (the ENTRYPOINT of an image). An argument vector, never a shell line.
 * 
 * @maxItems 256
 * 
 * Items: One argument.
 */
command?: string[]
/**
 * Arguments of the program.
 * 
 * @maxItems 1024
 * 
 * Items: One argument.
 */
args?: string[]
/**
 * Environment of the program. Every node can read `value`; what nobody may read comes from a secret.
 * 
 * @maxItems 256
 * 
 * Items: One variable. Exactly one of value and valueFrom.
 */
env?: {
/**
 * Name of the variable.
 */
name: string
/**
 * Its value, as text.
 */
value?: string
/**
 * Where the value comes from instead.
 */
valueFrom?: {
/**
 * A value of an MCPSecret in the server's namespace; in Kubernetes, of a Secret when there is no MCPSecret of that name.
 */
secretKeyRef: {
/**
 * Name of the secret.
 */
name: string
/**
 * Which of its values.
 */
key: string
}
}
}[]
/**
 * Values of secrets as files in memory, with mode 0400 and owned by the server's user. The directory of each is memory of its own and hides what the image has there.
 * 
 * @maxItems 32
 * 
 * Items: One file.
 */
files?: {
/**
 * Absolute path inside the server's file system.
 */
path: string
/**
 * A value of an MCPSecret in the server's namespace; in Kubernetes, of a Secret when there is no MCPSecret of that name.
 */
secretKeyRef: {
/**
 * Name of the secret.
 */
name: string
/**
 * Which of its values.
 */
key: string
}
}[]
/**
 * Directories of the node, or memory, inside the server's file system.
 * 
 * @maxItems 32
 * 
 * Items: One volume. Exactly one of hostPath and tmpfs.
 */
volumes?: {
/**
 * Name of the volume.
 */
name: string
/**
 * Absolute path of a directory or file on the node. The node's own policy decides which are allowed.
 */
hostPath?: string
/**
 * Memory, empty at each start.
 */
tmpfs?: {
/**
 * Its size, a quantity between 4Ki and 1Ti. It counts against limits.memory.
 */
size: {
[k: string]: unknown
}
}
/**
 * Absolute path inside the server's file system.
 */
mountPath: string
/**
 * Mount it read-only.
 */
readOnly?: boolean
}[]
/**
 * What runs it. Auto is Process for a package or a program, and for an image Docker, or Containerd on a node that uses containerd and no Docker.
 */
runtime?: ("Auto" | "Docker" | "Containerd" | "Process")
/**
 * How the server speaks MCP. When left out, stdio (streamable-http for a remote source).
 */
transport?: ("stdio" | "streamable-http")
/**
 * Port that the server listens on. Required for transport streamable-http.
 */
port?: number
/**
 * Path of its MCP endpoint, for transport streamable-http.
 */
path?: string
/**
 * What the server may use.
 */
resources?: {
/**
 * Upper bounds for the whole instance with all its processes.
 */
limits?: {
/**
 * Processor time, in cores, a quantity between 10m and 1024.
 */
cpu?: string
/**
 * Memory, a quantity between 6Mi and 16Ti. More ends the process (OOMKilled).
 */
memory?: string
/**
 * Number of processes and threads.
 */
pids?: number
}
}
/**
 * What the server may do.
 */
securityContext?: {
/**
 * User id of its processes.
 */
runAsUser?: number
/**
 * Whether its root file system is read-only.
 */
readOnlyRootFilesystem?: boolean
/**
 * Linux capabilities. All are dropped but those added here.
 */
capabilities?: {
/**
 * Capabilities to keep, without the CAP_ prefix.
 * 
 * @maxItems 41
 * 
 * Items: One capability.
 */
add?: ("AUDIT_CONTROL" | "AUDIT_READ" | "AUDIT_WRITE" | "BLOCK_SUSPEND" | "BPF" | "CHECKPOINT_RESTORE" | "CHOWN" | "DAC_OVERRIDE" | "DAC_READ_SEARCH" | "FOWNER" | "FSETID" | "IPC_LOCK" | "IPC_OWNER" | "KILL" | "LEASE" | "LINUX_IMMUTABLE" | "MAC_ADMIN" | "MAC_OVERRIDE" | "MKNOD" | "NET_ADMIN" | "NET_BIND_SERVICE" | "NET_BROADCAST" | "NET_RAW" | "PERFMON" | "SETFCAP" | "SETGID" | "SETPCAP" | "SETUID" | "SYS_ADMIN" | "SYS_BOOT" | "SYS_CHROOT" | "SYS_MODULE" | "SYS_NICE" | "SYS_PACCT" | "SYS_PTRACE" | "SYS_RAWIO" | "SYS_RESOURCE" | "SYS_TIME" | "SYS_TTY_CONFIG" | "SYSLOG" | "WAKE_ALARM")[]
}
/**
 * None has no network (an http port is still reached by mcpfleet), Outbound may connect out, Host shares the node's network if the node's policy allows it.
 */
network?: ("None" | "Outbound" | "Host")
/**
 * What happens where a node can't enforce all of this. Required does not start the server, BestEffort starts it and says so in its status.
 */
enforcement?: ("Required" | "BestEffort")
}
/**
 * Which nodes run it. nodes and nodeSelector must both hold; neither given, every schedulable node. Without replicas it runs on all of them.
 */
placement?: {
/**
 * Names of nodes.
 * 
 * @maxItems 1024
 * 
 * Items: Name of a node.
 */
nodes?: string[]
/**
 * Labels that the MCPNode object of a node must have.
 */
nodeSelector?: {
/**
 * Value of the label.
 */
[k: string]: string
}
/**
 * Run it on this many of the nodes that match, are declared by an MCPNode and schedulable; when one is down for 90 seconds, another one takes its place. During a cut and while a replica moves back more may run. Needs a store with a Worker.
 */
replicas?: number
}
/**
 * Stop it on all nodes and keep the object.
 */
suspend?: boolean
/**
 * How mcpfleet finds out, by MCP itself, whether the server works.
 */
probes?: {
/**
 * From the start to the first complete handshake and list of tools.
 */
startup?: {
/**
 * Seconds until a start counts as failed.
 */
timeoutSeconds?: number
}
/**
 * Whether it still answers. Failures restart it.
 */
liveness?: {
/**
 * Seconds between two probes.
 */
periodSeconds?: number
/**
 * Seconds until a probe counts as failed.
 */
timeoutSeconds?: number
/**
 * Failures in a row that restart it.
 */
failureThreshold?: number
}
/**
 * Whether it is fit for use. Failures make it not Ready and restart nothing.
 */
readiness?: {
/**
 * Seconds between two probes.
 */
periodSeconds?: number
/**
 * Seconds until a probe counts as failed.
 */
timeoutSeconds?: number
/**
 * Failures in a row that make it not Ready.
 */
failureThreshold?: number
/**
 * Tools that must be listed.
 * 
 * @maxItems 256
 * 
 * Items: Name of a tool.
 */
requiredTools?: string[]
/**
 * Capabilities that the handshake must offer.
 * 
 * @maxItems 32
 * 
 * Items: Name of a capability of MCP.
 */
requiredCapabilities?: string[]
}
}
/**
 * What happens when it ends or stops answering.
 */
restartPolicy?: {
/**
 * OnFailure leaves it alone after exit code 0, Never after any exit.
 */
condition?: ("Always" | "OnFailure" | "Never")
/**
 * Delay between restarts; it doubles from initial to max.
 */
backoff?: {
/**
 * First delay, between 10ms and 1h.
 */
initial?: string
/**
 * Longest delay, between initial and 24h.
 */
max?: string
}
/**
 * After this long Ready the delay begins at initial again; between 1s and 24h.
 */
resetAfter?: string
/**
 * Restarts without success until it stays Failed (until the spec changes). 0 is no limit.
 */
maxAttempts?: number
}
/**
 * Time between asking it to end and killing it, between 0s and 1h.
 */
terminationGracePeriod?: string
/**
 * How a new revision takes the place of the one before.
 */
updateStrategy?: {
/**
 * RollingUpdate starts the new revision beside the old one, sends clients there once it answers, and lets the old one finish its conversations; for that time both take memory. Recreate stops the old one first. When left out, Recreate with a writable hostPath or an http port on the host's network, where two instances would get into each other's way, else RollingUpdate; whoever asks for RollingUpdate there must know that the server bears it.
 */
type?: ("RollingUpdate" | "Recreate")
/**
 * How long the old revision may go on with conversations that have begun, between 0s and 24h. Then they are cut off.
 */
drainTimeout?: string
/**
 * How long a new revision may take, restarts included, until it answers over MCP; between 1s and 24h. After that Progressing is False with the reason ProgressDeadlineExceeded, and the old one serves on.
 */
progressDeadline?: string
/**
 * Whether a new revision that misses progressDeadline is removed, until the spec changes. Without it the new one is tried on beside the old.
 */
autoRollback?: boolean
}
/**
 * Whether the server runs while nobody uses it.
 */
activation?: {
/**
 * OnDemand starts it once to see that it works, stops it when nobody uses it, and starts it again with the next request through the gateway, which waits for it. A sleeping server is Ready.
 */
mode?: ("Always" | "OnDemand")
/**
 * With OnDemand, how long nobody asks for it until it is stopped; between 1s and 168h. Sessions and calls that are under way keep it awake.
 */
idleAfter?: string
}
/**
 * The sessions that clients have with the server through the gateway, and which of them share a process. mode, warmSpares and max are for stdio servers only.
 */
sessions?: {
/**
 * Which sessions share a process of a stdio server. PerSession starts one for each session, Shared has one for all; Auto is Shared for servers of the stateless protocol (2026-07-28 and later) and PerSession for older ones.
 */
mode?: ("Auto" | "PerSession" | "Shared")
/**
 * Processes that are started before anybody asks, so that a new session need not wait. They count against max.
 */
warmSpares?: number
/**
 * Processes for sessions in one instance, all within its resource limits. A session that finds no place is answered 503 with Retry-After.
 */
max?: number
/**
 * A session that nobody uses for this long is ended; between 1s and 168h.
 */
idleTimeout?: string
/**
 * A session is ended after this long even when it is in use; between idleTimeout and 168h.
 */
maxLifetime?: string
/**
 * Whether a session goes on with a new process when its own has died. Without it the client is told that the session is gone and begins a new one.
 */
resumable?: boolean
}
/**
 * Which tools clients may see and call through the gateway.
 */
tools?: {
/**
 * Tools that clients may use. When left out or empty, all.
 * 
 * @maxItems 256
 * 
 * Items: Name of a tool.
 */
allow?: string[]
/**
 * Tools that clients may not use, even where allow names them.
 * 
 * @maxItems 256
 * 
 * Items: Name of a tool.
 */
deny?: string[]
/**
 * What happens to a tool that is not as in pins. Off looks at nothing, Warn reports it in the condition ToolsPinned and the log, Block also hides it from clients and refuses calls of it, and the server is not Ready while a pinned tool has changed or is gone.
 */
pinning?: ("Off" | "Warn" | "Block")
/**
 * Hash of each tool's definition (name, title, description, schemas, annotations), by name. mcpctl tools lock writes them. When left out or empty, nothing is pinned.
 */
pins?: {
/**
 * Hash of one tool.
 */
[k: string]: string
}
}
/**
 * Who may use the server through the gateway. Exactly the member that belongs to type is given.
 */
auth?: {
/**
 * How a client proves who it is. None asks nothing, Bearer knows fixed tokens, JWT takes signed tokens of an OAuth 2 or OpenID issuer, CloudflareAccess those of Cloudflare Access in front of the tunnel.
 */
type?: ("None" | "Bearer" | "JWT" | "CloudflareAccess")
/**
 * Fixed tokens.
 */
bearer?: {
/**
 * The tokens that are taken. The object holds only their hashes; mcpctl create token prints a token and its hash.
 * 
 * @minItems 1
 * @maxItems 64
 * 
 * Items: One token.
 */
tokens: [{
/**
 * Who has the token. Sessions belong to this name.
 */
name: string
/**
 * SHA-256 of the token, 64 lower-case hex digits.
 */
sha256: string
}, ...({
/**
 * Who has the token. Sessions belong to this name.
 */
name: string
/**
 * SHA-256 of the token, 64 lower-case hex digits.
 */
sha256: string
})[]]
}
/**
 * Signed tokens of an issuer.
 */
jwt?: {
/**
 * Issuer, as the tokens name it in iss; an https URL, or http on a loopback address.
 */
issuer: string
/**
 * Audience that a token must be for (aud). When left out, the URL of the endpoint itself.
 */
audience?: string
/**
 * Where the issuer publishes its keys; an https URL, or http on a loopback address.
 */
jwksUri: string
/**
 * Scopes that a token must have, all of them.
 * 
 * @maxItems 64
 * 
 * Items: One scope.
 */
scopes?: string[]
}
/**
 * Tokens of a Cloudflare Access application.
 */
cloudflareAccess?: {
/**
 * Name of the team, the first part of its domain cloudflareaccess.com.
 */
team: string
/**
 * Audience tag (AUD) of the application, 64 hex digits.
 */
audience: string
}
}
/**
 * How much clients may ask of the server through the gateway. What is more is answered 429 with Retry-After. At least one of requests, perSubject and maxConcurrent is set.
 */
rateLimit?: {
/**
 * Requests of all clients together in each period. 0 is no limit.
 */
requests?: number
/**
 * The period of requests and perSubject, between 1s and 24h.
 */
per?: string
/**
 * Requests of one subject (whoever auth says the client is) in each period. 0 is no limit.
 */
perSubject?: number
/**
 * Requests in flight at the same time. 0 is no limit.
 */
maxConcurrent?: number
}
/**
 * Puts the server on the internet by the node's Cloudflare tunnel (spec.tunnel in mcplet.yaml), at https://<hostname>/<namespace>/<name>/mcp. The condition Exposed tells whether it is there. In a signed fleet it needs auth of type Bearer or JWT, which Cloudflare can't make up.
 */
expose?: {
/**
 * A public host name of this server alone, in lower case, whose DNS record points at the tunnel. Of two servers on a node that ask for one name the first by namespace and name has it.
 */
hostname: string
}
/**
 * The server's stderr on the node's disk.
 */
logs?: {
/**
 * Size at which a log file is rotated, a quantity between 4Ki and 10Gi.
 */
maxSize?: string
/**
 * Log files kept, the current one included.
 */
maxFiles?: number
}
}
}
/**
 * A machine that runs mcplet. Its labels are what spec.placement.nodeSelector of an MCPServer selects by.
 */
export interface MCPNode {
/**
 * Version of this schema, mcpfleet.dev/v1alpha1.
 */
apiVersion?: string
/**
 * MCPNode.
 */
kind?: string
metadata?: {
/**
 * Name of the node, as in its mcplet.yaml; an RFC 1123 label. Of a Node in Kubernetes with another name, one that is made of it (docs/kubernetes.md).
 */
name?: string
}
/**
 * What people decide about the node.
 */
spec?: {
/**
 * Cordoned. It takes no new server; what it runs already stays.
 */
unschedulable?: boolean
/**
 * Drained, by `mcpctl drain`. Cordoned, and the servers that run on it are stopped too, each as when it is deleted.
 */
drain?: boolean
/**
 * Public keys of the node, written by `mcpctl node accept` once it has proven that the node that presents them was given the join token. Secrets are sealed only to keys found here. A manifest without them leaves those that are there.
 */
keys?: {
/**
 * Ed25519, base64url of 32 bytes.
 */
signing: string
/**
 * X25519, base64url of 32 bytes.
 */
sealing: string
}
}
}
