{{/* The configuration file: serving pods and `cloister ensure` read the same bytes, and compare their digests. */}}
{{- define "cloister.config" -}}
{{- $config := dict "apiVersion" "cloister.dev/v1alpha1" "kind" "Config" "profiles" .Values.profiles -}}
{{- range $key := list "governs" "default" "exemptions" "excludedNamespaces" "timeoutSeconds" }}{{ with get $.Values $key }}{{ $_ := set $config $key . }}{{ end }}{{ end -}}
{{- if not .Values.guard.enabled }}{{ $_ := set $config "guard" false }}{{ end -}}
{{- if not .Values.backstop.enabled }}{{ $_ := set $config "backstop" false }}{{ end -}}
{{ toYaml $config }}
{{- end }}

{{/* In CEL, as in `cloister manifests`: the list of the names of the profiles */}}
{{- define "cloister.profiles" -}}
[{{ range $index, $id := keys (.Values.profiles | default dict) | sortAlpha }}{{ if $index }}, {{ end }}'{{ $id }}'{{ end }}]
{{- end }}

{{/* The namespaces that Cloister never governs, as JSON */}}
{{- define "cloister.ungovernedNamespaces" -}}
{{ concat (list "kube-node-lease" "kube-system" .Release.Namespace) (.Values.excludedNamespaces | default list) | uniq | sortAlpha | toJson }}
{{- end }}

{{/* In CEL, as in `cloister manifests`: the list of these namespaces */}}
{{- define "cloister.ungoverned" -}}
['{{ include "cloister.ungovernedNamespaces" . | fromJsonArray | join "', '" }}']
{{- end }}

{{/* In CEL, as in `cloister manifests`: whether the values enforce a profile in the namespace of a request, by its name */}}
{{- define "cloister.enforcedByName" -}}
{{- $elements := list (dict "namespaces" (include "cloister.ungovernedNamespaces" . | fromJsonArray)) -}}
{{- $elements = concat $elements (.Values.governs | default list) -}}
{{- $default := .Values.default | default dict -}}
{{- with $default.except }}{{ $elements = append $elements (dict "namespaces" .) }}{{ end -}}
{{- $conditions := list -}}
{{- range $elements -}}
{{- $conditions = append $conditions (printf "request.namespace.matches('^(%s)$') ? %t :" (join "|" .namespaces | replace "*" ".*") (hasKey . "enforce")) -}}
{{- end -}}
{{- $expression := append $conditions (hasKey $default "enforce" | toString) | join "\n" -}}
{{ if or (hasKey $default "enforce") (contains "? true" $expression) }}{{ $expression }}{{ else }}false{{ end }}
{{- end }}

{{/* of: the root; namespace. The profile that the values enforce in a namespace, by its name; empty: none */}}
{{- define "cloister.enforcedIn" -}}
{{- $values := .of.Values -}}
{{- $default := $values.default | default dict -}}
{{- $elements := list (dict "namespaces" ($values.excludedNamespaces | default list)) -}}
{{- $elements = concat $elements ($values.governs | default list) -}}
{{- $elements = append $elements (dict "namespaces" ($default.except | default list)) -}}
{{- $elements = append $elements (set (omit $default "except") "namespaces" (list "*")) -}}
{{- $profile := "" -}}
{{- $isFound := false -}}
{{- range $elements -}}
{{- if and (not $isFound) (regexMatch (printf "^(%s)$" (join "|" .namespaces | replace "*" ".*")) $.namespace) -}}
{{- $isFound = true -}}
{{- $profile = .enforce | default "" -}}
{{- end -}}
{{- end -}}
{{ $profile }}
{{- end }}

{{/* profiles, id: the names from a profile to its backend, separated by commas; stops at a repeated or unknown name */}}
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

{{/* profiles, id, option: the value for a profile, set by itself or by a profile that it extends; empty: the backend's default */}}
{{- define "cloister.option" -}}
{{- $value := "" -}}
{{- range include "cloister.lineage" . | splitList "," | reverse -}}
{{- $value = dig $.option $value (get $.profiles . | default dict) -}}
{{- end -}}
{{ $value }}
{{- end }}

{{/* profiles, id: the profiles that pods of a profile may choose, as JSON */}}
{{- define "cloister.mayChoose" -}}
{{- $value := list -}}
{{- range include "cloister.lineage" . | splitList "," | reverse -}}
{{- $value = dig "mayChoose" $value (get $.profiles . | default dict) -}}
{{- end -}}
{{ $value | default list | toJson }}
{{- end }}

{{/* The profiles that need the seccomp profile of `cloister node-profile install`, separated by commas */}}
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

{{/* Checks that a schema cannot express: conflicts between values. All problems are reported together. */}}
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
    {{- $problems = append $problems (printf "profiles.%s.extends: the profiles extend each other in a circle: one of them must extend a backend (%s)" $id (join ", " $backends)) -}}
  {{- end -}}
  {{- $needsGates := or (eq $root "userns") (and (eq $root "sysbox") (ne (include "cloister.option" (dict "profiles" $profiles "id" $id "option" "identity")) "crio-annotation")) -}}
  {{- if and $needsGates (not $values.userNamespaceGates) (semverCompare "<1.33.0-0" $.Capabilities.KubeVersion.Version) -}}
    {{- $problems = append $problems (printf "profiles.%s: Kubernetes %s drops hostUsers by default, and Cloister would refuse every pod of this profile: upgrade to 1.33 or later, or turn the feature gates UserNamespacesSupport and ProcMountType on in API servers and kubelets and set userNamespaceGates to true" $id $.Capabilities.KubeVersion.Version) -}}
  {{- end -}}
  {{- range $choice := dig "mayChoose" list ($profile | default dict) -}}
    {{- if not (hasKey $profiles $choice) -}}
      {{- $problems = append $problems (printf "profiles.%s.mayChoose: %q is not configured: it must be one of `profiles`" $id $choice) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $index, $element := $values.governs -}}
  {{- range $mode := list "enforce" "warn" "audit" -}}
    {{- $profile := get $element $mode -}}
    {{- if and $profile (not (hasKey $profiles $profile)) -}}
      {{- $problems = append $problems (printf "governs[%d].%s: %q is not configured: it must be one of `profiles`" $index $mode $profile) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $mode := list "enforce" "warn" "audit" -}}
  {{- $profile := get ($values.default | default dict) $mode -}}
  {{- if and $profile (not (hasKey $profiles $profile)) -}}
    {{- $problems = append $problems (printf "default.%s: %q is not configured: it must be one of `profiles`" $mode $profile) -}}
  {{- end -}}
{{- end -}}
{{- if and $values.nodeProfile.namespace (include "cloister.hasNodeProfile" .) -}}
  {{- with include "cloister.enforcedIn" (dict "of" $ "namespace" $values.nodeProfile.namespace) -}}
    {{- $problems = append $problems (printf "nodeProfile.namespace: `governs` or `default` enforces %s in %s, which refuses the DaemonSet's hostPath: add %s to default.except, or leave it out of governs" . $values.nodeProfile.namespace $values.nodeProfile.namespace) -}}
  {{- end -}}
{{- end -}}
{{- if include "cloister.hasNodeProfile" . -}}
  {{- $namespace := $values.nodeProfile.namespace | default .Release.Namespace -}}
  {{- /* Found only where Helm is connected to the cluster. What is rendered does not depend on it. */ -}}
  {{- $level := dig "metadata" "labels" "pod-security.kubernetes.io/enforce" "privileged" (lookup "v1" "Namespace" "" $namespace) -}}
  {{- if ne $level "privileged" -}}
    {{- $problems = append $problems (printf "nodeProfile: the namespace %s enforces Pod Security %s, which refuses the DaemonSet's hostPath: set nodeProfile.namespace to another namespace or, without a seccomp profile on the nodes, profiles.userns.grant to sudo" $namespace $level) -}}
  {{- end -}}
{{- end -}}
{{- with $values.ports -}}
  {{- if ne 3 (list (int .webhook) (int .operations) (int .metrics) | uniq | len) -}}
    {{- $problems = append $problems "ports: two of them are equal: use three different ports" -}}
  {{- end -}}
{{- end -}}
{{- if and (or $values.monitoring.serviceMonitor.enabled $values.monitoring.podMonitor.enabled) $values.networkPolicy.enabled (not $values.networkPolicy.metricsFrom) -}}
  {{- $problems = append $problems "networkPolicy.metricsFrom: is empty, so that Prometheus cannot read the metrics: name its pods, or allow every pod with [{namespaceSelector: {}}]" -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) -}}
  {{- $problems = append $problems "autoscaling.minReplicas: is greater than autoscaling.maxReplicas: lower it or raise maxReplicas" -}}
{{- end -}}
{{- $least := ternary $values.autoscaling.minReplicas $values.replicas $values.autoscaling.enabled | int -}}
{{- if and $values.podDisruptionBudget.enabled (gt $least 1) (ge (int $values.podDisruptionBudget.maxUnavailable) $least) -}}
  {{- $problems = append $problems (printf "podDisruptionBudget.maxUnavailable: allows all %d pods to be unavailable at once: make it less than the replicas" $least) -}}
{{- end -}}
{{- if and $values.hostNetwork (eq (toString $values.hostUsers) "false") -}}
  {{- $problems = append $problems "hostUsers: false cannot be combined with hostNetwork: remove one of them" -}}
{{- end -}}
{{- if and $values.clientCertificates.names (not $values.clientCertificates.caConfigMap) -}}
  {{- $problems = append $problems "clientCertificates.names: needs an authority: set clientCertificates.caConfigMap, or remove the names" -}}
{{- end -}}
{{- if eq $values.test.namespace .Release.Namespace -}}
  {{- $problems = append $problems (printf "test.namespace: %s is Cloister's own namespace, where no pod is judged: use another" .Release.Namespace) -}}
{{- else if has $values.test.namespace (concat (list "kube-system" "kube-node-lease") ($values.excludedNamespaces | default list)) -}}
  {{- $problems = append $problems (printf "test.namespace: no pod is judged in %s: use another" $values.test.namespace) -}}
{{- end -}}
{{- range $values.env -}}
  {{- if eq .name "POD_IP" -}}
    {{- $problems = append $problems "env: POD_IP is set by the chart, as the address to listen on: remove it" -}}
  {{- end -}}
{{- end -}}
{{- $set := dict "--config" "profiles" "--tls-dir" "certificates" "--listen" "ports.webhook" "--operations-listen" "ports.operations" "--metrics-listen" "ports.metrics" "--log-level" "logLevel" "--drain-delay" "drainDelay" -}}
{{- if $values.clientCertificates.caConfigMap -}}
  {{- $set = merge $set (dict "--client-ca" "clientCertificates.caConfigMap" "--client-name" "clientCertificates.names") -}}
{{- end -}}
{{- range $values.extraArgs -}}
  {{- with get $set (splitList "=" . | first) -}}
    {{- $problems = append $problems (printf "extraArgs: the chart sets this flag from `%s`: use that value" .) -}}
  {{- end -}}
{{- end -}}
{{- with $values.certificates.certManager -}}
  {{- if le (include "cloister.seconds" .duration | int64) (include "cloister.seconds" .renewBefore | int64) -}}
    {{- $problems = append $problems (printf "certificates.certManager.renewBefore: %s is not shorter than the duration, %s: set it to a third of the duration" .renewBefore .duration) -}}
  {{- end -}}
{{- end -}}
{{- if has .Release.Namespace (list "kube-system" "kube-node-lease") -}}
  {{- $problems = append $problems (printf "the release's namespace is %s: install Cloister into its own namespace, with --namespace cloister-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- with $problems -}}
  {{- fail (printf "these values cannot be used:\n  %s" (join "\n  " .)) -}}
{{- end -}}
{{- end }}
