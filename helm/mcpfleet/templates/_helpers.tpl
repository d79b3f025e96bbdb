{{/* Names and what several templates say alike. */}}

{{- define "mcpfleet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "mcpfleet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "mcpfleet.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "mcpfleet.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mcpfleet.selector" -}}
app.kubernetes.io/name: {{ include "mcpfleet.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "mcpfleet.labels" -}}
{{ include "mcpfleet.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* repository:tag or repository@digest; .default is the tag when there is none. */}}
{{- define "mcpfleet.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .default .image.tag }}
{{- end -}}
{{- end -}}

{{- define "mcpfleet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mcpfleet.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "mcpfleet.priorityClassName" -}}
{{- if .Values.priorityClass.create -}}
{{- default (include "mcpfleet.fullname" .) .Values.priorityClass.name -}}
{{- else -}}
{{- .Values.priorityClass.name -}}
{{- end -}}
{{- end -}}

{{- define "mcpfleet.enrolmentSecret" -}}
{{- default (printf "%s-enrolment" (include "mcpfleet.fullname" .)) .Values.enrolment.existingSecret -}}
{{- end -}}

{{- define "mcpfleet.socket" -}}
{{- if eq .Values.runtime.type "docker" -}}{{ .Values.runtime.docker.socket }}{{- else -}}{{ .Values.runtime.containerd.socket }}{{- end -}}
{{- end -}}

{{/* cloudflared reaches the gateway by its Service, so there is one with it. */}}
{{- define "mcpfleet.hasGatewayService" -}}
{{- if and .Values.gateway.enabled (or .Values.gateway.service.enabled .Values.cloudflared.enabled) -}}yes{{- end -}}
{{- end -}}

{{/* In the node's network the admin API is asked on its loopback; else the port that is open to others. */}}
{{- define "mcpfleet.probe" -}}
path: {{ .path }}
{{- if .root.Values.hostNetwork }}
host: 127.0.0.1
port: 8701
{{- else }}
port: metrics
{{- end }}
{{- end -}}

{{/* The configuration of mcplet, the same on every node: its name is the node's. */}}
{{- define "mcpfleet.configuration" -}}
{{- $v := .Values -}}
{{- $gatewayName := printf "%s-gateway" (include "mcpfleet.fullname" .) -}}
{{- $spec := dict "stateDirectory" $v.stateDirectory "runDirectory" $v.runDirectory -}}
{{- $runtimes := dict "process" (dict "enabled" "Never") -}}
{{- if eq $v.runtime.type "docker" -}}
{{- $_ := set $runtimes "docker" (dict "enabled" "Auto" "socket" (printf "/host/runtime/%s" (base $v.runtime.docker.socket))) -}}
{{- else -}}
{{- $_ := set $runtimes "docker" (dict "enabled" "Never") -}}
{{- $containerd := dict "enabled" "Auto" "socket" (printf "/host/runtime/%s" (base $v.runtime.containerd.socket)) -}}
{{- if $v.runtime.containerd.cniBinDirectory -}}
{{- $_ := set $containerd "cni" (dict "pluginDirectories" (list $v.runtime.containerd.cniBinDirectory)) -}}
{{- end -}}
{{- with $v.runtime.containerd.hostsDirectory -}}{{- $_ := set $containerd "hostsDirectory" . -}}{{- end -}}
{{- $_ := set $runtimes "containerd" $containerd -}}
{{- end -}}
{{- $_ := set $spec "runtimes" $runtimes -}}
{{- $_ := set $spec "log" (dict "format" "json") -}}
{{- if $v.metrics.enabled -}}
{{- $host := $v.metrics.address -}}
{{- if contains ":" $host -}}{{- $host = printf "[%s]" $host -}}{{- end -}}
{{- $_ := set $spec "admin" (dict "metricsAddress" (printf "%s:%d" $host (int $v.metrics.port))) -}}
{{- end -}}
{{- if not $v.gateway.enabled -}}
{{- $_ := set $spec "gateway" (dict "enabled" "Never") -}}
{{- else -}}
{{- $gateway := dict "port" (int $v.gateway.port) "address" $v.gateway.address -}}
{{- $hosts := $v.gateway.allowedHosts -}}
{{- if or (not $v.hostNetwork) (include "mcpfleet.hasGatewayService" .) -}}
{{- if eq $v.gateway.address "127.0.0.1" -}}{{- $_ := set $gateway "address" "0.0.0.0" -}}{{- end -}}
{{- end -}}
{{- if include "mcpfleet.hasGatewayService" . -}}
{{- $hosts = concat $hosts (list $gatewayName (printf "%s.%s" $gatewayName .Release.Namespace) (printf "%s.%s.svc" $gatewayName .Release.Namespace) (printf "%s.%s.svc.cluster.local" $gatewayName .Release.Namespace)) -}}
{{- end -}}
{{- with $hosts -}}{{- $_ := set $gateway "allowedHosts" . -}}{{- end -}}
{{- with $v.gateway.publicUrls -}}{{- $_ := set $gateway "publicUrls" . -}}{{- end -}}
{{- if $v.gateway.tlsSecret -}}
{{- $_ := set $gateway "tls" (dict "certFile" "/etc/mcpfleet/tls/tls.crt" "keyFile" "/etc/mcpfleet/tls/tls.key") -}}
{{- end -}}
{{- $_ := set $spec "gateway" $gateway -}}
{{- end -}}
{{- if $v.cloudflared.enabled -}}
{{- $tunnel := dict "mode" "External" -}}
{{- with $v.cloudflared.hostname -}}{{- $_ := set $tunnel "hostname" . -}}{{- end -}}
{{- $_ := set $spec "tunnel" $tunnel -}}
{{- end -}}
{{- $spec = mergeOverwrite $spec (deepCopy $v.config) -}}
apiVersion: mcpfleet.dev/v1alpha1
kind: MCPletConfiguration
spec:
{{ toYaml $spec | indent 2 }}
{{- end -}}

{{/* What values.schema.json can't say. */}}
{{- define "mcpfleet.check" -}}
{{- $v := .Values -}}
{{- if and (contains "store" $v.source) (not $v.store.url) -}}{{- fail "store.url is missing: where the fleet's store is, with source: store" -}}{{- end -}}
{{- if and (contains "store" $v.source) (not $v.enrolment.existingSecret) (not $v.enrolment.tokens) -}}{{- fail "enrolment: source: store needs existingSecret, or tokens with one of `mcpctl node enroll NODE` for each node" -}}{{- end -}}
{{- if and (not (contains "store" $v.source)) (or $v.store.url $v.enrolment.existingSecret $v.enrolment.tokens) -}}{{- fail "store and enrolment have no effect with source: kubernetes" -}}{{- end -}}
{{- if and $v.enrolment.existingSecret $v.enrolment.tokens -}}{{- fail "enrolment: either existingSecret or tokens" -}}{{- end -}}
{{- if and (not $v.hostNetwork) (not $v.metrics.enabled) -}}{{- fail "hostNetwork: false needs metrics.enabled: the health checks come by that port" -}}{{- end -}}
{{- if and $v.cloudflared.enabled (not $v.gateway.enabled) -}}{{- fail "cloudflared leads to the gateway: gateway.enabled is false" -}}{{- end -}}
{{- if and $v.cloudflared.enabled (not $v.cloudflared.tokenSecret.name) -}}{{- fail "cloudflared.tokenSecret.name is missing: a Secret with the tunnel's token" -}}{{- end -}}
{{- if and $v.gateway.service.enabled (not $v.gateway.enabled) -}}{{- fail "gateway.service: gateway.enabled is false" -}}{{- end -}}
{{- if and (or $v.metrics.serviceMonitor.enabled $v.metrics.prometheusRule.enabled) (not $v.metrics.enabled) -}}{{- fail "metrics.serviceMonitor and prometheusRule: metrics.enabled is false" -}}{{- end -}}
{{- if and $v.gateway.tlsSecret $v.cloudflared.enabled -}}{{- fail "gateway.tlsSecret: cloudflared comes by plain HTTP from inside the cluster; leave it out" -}}{{- end -}}
{{- if and $v.priorityClass.create (hasPrefix "system-" $v.priorityClass.name) -}}{{- fail "priorityClass.name: Kubernetes keeps names that begin with system- for itself" -}}{{- end -}}
{{- range $field := list "stateDirectory" "runDirectory" "sources" "store" -}}
{{- if hasKey $v.config $field -}}{{- fail (printf "config.%s: set the chart's own value instead" $field) -}}{{- end -}}
{{- end -}}
{{- if and $v.seLinuxType (eq $v.seLinuxType "container_t") -}}{{- fail "seLinuxType: container_t may not use the runtime's socket" -}}{{- end -}}
{{- end -}}
