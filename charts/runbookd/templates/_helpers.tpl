{{/* Names and labels: `program` is kpi-exporter or alert-responder, `root` the chart's context. */}}
{{- define "runbookd.name" -}}
{{- printf "%s-%s" .root.Release.Name .program | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "runbookd.selector" -}}
app.kubernetes.io/name: {{ .program }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{- define "runbookd.labels" -}}
{{ include "runbookd.selector" . }}
app.kubernetes.io/part-of: runbookd
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "runbookd.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "runbookd.monitored" -}}
{{- if eq (toString .Values.monitoring.enabled) "auto" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}yes{{- end -}}
{{- else if .Values.monitoring.enabled -}}yes{{- end -}}
{{- end -}}

{{- define "runbookd.drawn" -}}
{{- if eq (toString .Values.dashboards.enabled) "auto" -}}
{{- include "runbookd.monitored" . -}}
{{- else if .Values.dashboards.enabled -}}yes{{- end -}}
{{- end -}}

{{/* Restricted Pod Security: nothing here needs a right on the node. */}}
{{- define "runbookd.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "runbookd.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "runbookd.probes" -}}
startupProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 2, failureThreshold: 60}
livenessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 5, timeoutSeconds: 3}
{{- end -}}

{{- define "runbookd.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Policy files by name, as one YAML mapping: the values' own, else the shipped ones. */}}
{{- define "runbookd.policies" -}}
{{- $found := dict -}}
{{- if .Values.responder.policies -}}
{{- $found = .Values.responder.policies -}}
{{- else -}}
{{- range $path, $_ := .Files.Glob "files/rules/policies/*.yaml" -}}
{{- $_ := set $found (base $path) ($.Files.Get $path) -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}
