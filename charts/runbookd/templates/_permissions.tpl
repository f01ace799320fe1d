{{/*
What the roles allow: rules of files/permissions.yaml, put together by what is enabled. It is the
same as `kpi-exporter permissions` and `alert-responder permissions` print.
*/}}
{{- define "runbookd.exporter.rules" -}}
{{- $known := (.Files.Get "files/permissions.yaml" | fromYaml).collectors -}}
{{- $rules := list -}}
{{- range $name, $section := .Values.exporter.settings.collectors -}}
{{- $off := false -}}
{{- if kindIs "map" $section -}}{{- if hasKey $section "enabled" -}}{{- $off = not $section.enabled -}}{{- end -}}{{- end -}}
{{- if and (hasKey $known $name) (not $off) -}}
{{- $rules = concat $rules (index $known $name) -}}
{{- end -}}
{{- end -}}
{{- $rules | uniq | toYaml -}}
{{- end -}}

{{/* Actions of the policies: name → "act" where a runbook in act mode takes it, else "observe". */}}
{{- define "runbookd.responder.actions" -}}
{{- $found := dict -}}
{{- range $_, $text := include "runbookd.policies" . | fromYaml -}}
{{- range $runbook := ($text | fromYaml).runbooks -}}
{{- range $step := $runbook.steps -}}
{{- range $action, $_ := $step -}}
{{- if eq ($runbook.mode | default "observe") "act" -}}
{{- $_ := set $found $action "act" -}}
{{- else if not (hasKey $found $action) -}}
{{- $_ := set $found $action "observe" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range .Values.responder.byHand -}}
{{- $_ := set $found . "act" -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* Namespaces in which something may be changed. */}}
{{- define "runbookd.responder.namespaces" -}}
{{- $allow := list -}}
{{- $deny := list -}}
{{- range $_, $text := include "runbookd.policies" . | fromYaml -}}
{{- $gate := ($text | fromYaml).gate | default dict -}}
{{- $namespaces := $gate.namespaces | default dict -}}
{{- $allow = concat $allow ($namespaces.allow | default list) -}}
{{- $deny = concat $deny ($namespaces.deny | default list) -}}
{{- end -}}
{{- $found := list -}}
{{- range $allow | uniq | sortAlpha -}}
{{- if not (has . $deny) -}}{{- $found = append $found . -}}{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{- define "runbookd.responder.reads" -}}
{{- $known := .Files.Get "files/permissions.yaml" | fromYaml -}}
{{- $rules := $known.engine -}}
{{- $actions := include "runbookd.responder.actions" . | fromYaml -}}
{{- range concat $known.always (keys $actions | sortAlpha) | uniq -}}
{{- if hasKey $known.actions . -}}
{{- $rules = concat $rules (index $known.actions .).reads -}}
{{- end -}}
{{- end -}}
{{- $rules | uniq | toYaml -}}
{{- end -}}

{{- define "runbookd.responder.writes" -}}
{{- $known := .Files.Get "files/permissions.yaml" | fromYaml -}}
{{- $rules := list -}}
{{- range $action, $mode := include "runbookd.responder.actions" . | fromYaml -}}
{{- if and (eq $mode "act") (hasKey $known.actions $action) -}}
{{- $rules = concat $rules (index $known.actions $action).writes -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}{{- $rules | uniq | toYaml -}}{{- end -}}
{{- end -}}
