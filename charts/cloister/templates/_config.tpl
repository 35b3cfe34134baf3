{{/* The configuration file: serving pods and `cloister ensure` read the same bytes, and compare their digests. */}}
{{- define "cloister.config" -}}
{{- $config := dict "apiVersion" "cloister.dev/v1alpha1" "kind" "Config" "profiles" .Values.profiles -}}
{{- with .Values.exemptions }}{{ $_ := set $config "exemptions" . }}{{ end -}}
{{ toYaml $config }}
{{- end }}

{{/* profiles, id: the names from a profile to its backend, with commas; a name that comes back or leads nowhere ends it */}}
{{- define "cloister.lineage" -}}
{{- $seen := list .id -}}
{{- $last := .id -}}
{{- range until 64 -}}
{{- $parent := dig "extends" "" (get $.profiles $last | default dict) -}}
{{- if and $parent (not (has $parent $seen)) -}}
{{- $seen = append $seen $parent -}}
{{- $last = $parent -}}
{{- end -}}
{{- end -}}
{{ join "," $seen }}
{{- end }}

{{/* profiles, id, option: what holds for a profile, be it its own or of what it extends; empty: the backend's default */}}
{{- define "cloister.option" -}}
{{- $value := "" -}}
{{- range include "cloister.lineage" . | splitList "," | reverse -}}
{{- $value = dig $.option $value (get $.profiles . | default dict) -}}
{{- end -}}
{{ $value }}
{{- end }}

{{/* Which profiles need the seccomp profile that `cloister node-profile install` brings; with commas */}}
{{- define "cloister.nodeProfileFor" -}}
{{- $found := list -}}
{{- $profiles := .Values.profiles | default dict -}}
{{- range $id, $_ := $profiles -}}
{{- $of := dict "profiles" $profiles "id" $id -}}
{{- $option := dict -}}
{{- range list "grant" "nesting" "seccompProfile" -}}
{{- $_ := set $option . (include "cloister.option" (merge (dict "option" .) $of)) -}}
{{- end -}}
{{- $isUserns := include "cloister.lineage" $of | splitList "," | last | eq "userns" -}}
{{- $isOurs := has $option.seccompProfile (list "" "cloister/workspace.json") -}}
{{- if and $isUserns (eq $option.grant "containers") (ne $option.nesting "sysadmin") $isOurs -}}
{{- $found = append $found $id -}}
{{- end -}}
{{- end -}}
{{ join "," $found }}
{{- end }}

{{- define "cloister.hasNodeProfile" -}}
{{- $wanted := .Values.nodeProfile.enabled -}}
{{- if kindIs "bool" $wanted }}{{ if $wanted }}yes{{ end }}{{ else if include "cloister.nodeProfileFor" . }}yes{{ end -}}
{{- end }}

{{/* What a schema cannot say: how values go together. All of it at once. */}}
{{- define "cloister.check" -}}
{{- $problems := list -}}
{{- $values := .Values -}}
{{- $profiles := $values.profiles | default dict -}}
{{- $backends := list "userns" "sysbox" "kata-qemu" "kata-clh" "kata-fc" "kata-acrn" "gvisor" -}}
{{- range $id, $profile := $profiles -}}
  {{- $parent := dig "extends" "" ($profile | default dict) -}}
  {{- $root := include "cloister.lineage" (dict "profiles" $profiles "id" $id) | splitList "," | last -}}
  {{- if and $parent (not (has $parent $backends)) (not (hasKey $profiles $parent)) -}}
    {{- $problems = append $problems (printf "profiles.%s.extends: %q is unknown: it must be another profile of `profiles` or one of %s" $id $parent (join ", " $backends)) -}}
  {{- else if and $parent (not (has $root $backends)) (hasKey $profiles $root) -}}
    {{- $problems = append $problems (printf "profiles.%s.extends: leads in a circle: one of its profiles must extend a backend (%s)" $id (join ", " $backends)) -}}
  {{- end -}}
  {{- range $choice := dig "mayChoose" list ($profile | default dict) -}}
    {{- if not (hasKey $profiles $choice) -}}
      {{- $problems = append $problems (printf "profiles.%s.mayChoose: %q is not configured: it must be one of `profiles`" $id $choice) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if eq (int $values.ports.webhook) (int $values.ports.operations) -}}
  {{- $problems = append $problems "ports.operations: is ports.webhook, too: give each a port of its own" -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) -}}
  {{- $problems = append $problems "autoscaling.minReplicas: is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- $least := ternary $values.autoscaling.minReplicas $values.replicas $values.autoscaling.enabled | int -}}
{{- if and $values.podDisruptionBudget.enabled (gt $least 1) (ge (int $values.podDisruptionBudget.maxUnavailable) $least) -}}
  {{- $problems = append $problems (printf "podDisruptionBudget.maxUnavailable: lets all %d pods be away at once: make it less than the replicas" $least) -}}
{{- end -}}
{{- if and $values.hostNetwork (eq (toString $values.hostUsers) "false") -}}
  {{- $problems = append $problems "hostUsers: false has no pod with hostNetwork: leave one of them out" -}}
{{- end -}}
{{- if and $values.clientCertificates.names (not $values.clientCertificates.caConfigMap) -}}
  {{- $problems = append $problems "clientCertificates.names: says whose certificates are taken: name their authority with clientCertificates.caConfigMap, or leave it out" -}}
{{- end -}}
{{- if eq $values.test.namespace .Release.Namespace -}}
  {{- $problems = append $problems (printf "test.namespace: %s is Cloister's own, where nothing is judged: name another" .Release.Namespace) -}}
{{- else if has $values.test.namespace (list "kube-system" "kube-node-lease") -}}
  {{- $problems = append $problems (printf "test.namespace: in %s nothing is judged: name another" $values.test.namespace) -}}
{{- end -}}
{{- range $values.env -}}
  {{- if eq .name "POD_IP" -}}
    {{- $problems = append $problems "env: POD_IP is the chart's own, by which the pods know where to listen: leave it out" -}}
  {{- end -}}
{{- end -}}
{{- with $values.certificates.certManager -}}
  {{- if le (include "cloister.seconds" .duration | int64) (include "cloister.seconds" .renewBefore | int64) -}}
    {{- $problems = append $problems (printf "certificates.certManager.renewBefore: %s is no shorter than its duration, %s: make it a third of that" .renewBefore .duration) -}}
  {{- end -}}
{{- end -}}
{{- if has .Release.Namespace (list "kube-system" "kube-node-lease") -}}
  {{- $problems = append $problems (printf "the release's namespace is %s: install Cloister into a namespace of its own, with --namespace cloister-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- with $problems -}}
  {{- fail (printf "these values cannot be used:\n  %s" (join "\n  " .)) -}}
{{- end -}}
{{- end }}
