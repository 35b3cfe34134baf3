{{/* Names, labels and images. Names are fixed, because a cluster has one Cloister and the names of its webhook configurations are fixed. */}}

{{- define "cloister.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/name" "cloister"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service -}}
{{ toYaml (merge $own .Values.labels) }}
{{- end }}

{{/* of: the root; component */}}
{{- define "cloister.selector" -}}
app.kubernetes.io/name: cloister
app.kubernetes.io/instance: {{ .of.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* of: the root; component; optional annotations and labels. The `metadata` of an object without its name. */}}
{{- define "cloister.metadata" -}}
labels:
  {{- include "cloister.labels" .of | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) .annotations) .of.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A registry is a first part with a dot or a port, or localhost. */}}
{{- define "cloister.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with dig "imageRegistry" "" (.Values.global | default dict) -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "") -}}
{{- end -}}
{{- with .Values.image -}}
{{ $repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Fields that all containers of this chart have. */}}
{{- define "cloister.container" -}}
image: {{ include "cloister.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "cloister.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* A duration, such as 500ms or 1h30m, in seconds, rounded up. */}}
{{- define "cloister.seconds" -}}
{{- $milliseconds := 0 -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- range regexFindAll "[0-9]+(ms|[smh])" . -1 -}}
{{- $milliseconds = add $milliseconds (mul (regexFind "[0-9]+" . | int64) (get $units (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{ div (add $milliseconds 999) 1000 }}
{{- end }}

{{- define "cloister.nodeSelector" -}}
{{ toYaml (merge (dict "kubernetes.io/os" "linux") .) }}
{{- end }}

{{/* Fields of the `spec` of every pod of this chart that Pod Security `restricted` admits. */}}
{{- define "cloister.pod" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .Values.runAs }}
  runAsUser: {{ .user | int64 }}
  runAsGroup: {{ .group | int64 }}
  fsGroup: {{ .group | int64 }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* The service account's token, where client libraries expect it. It is short-lived, and only pods that need it mount it. */}}
{{- define "cloister.token" -}}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}

{{- define "cloister.tokenMount" -}}
- name: token
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end }}
