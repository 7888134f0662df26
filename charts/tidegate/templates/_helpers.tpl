{{/* The image tag and the version label. */}}
{{- define "tidegate.tag" -}}
{{ .Values.tag | default .Chart.AppVersion }}
{{- end }}
