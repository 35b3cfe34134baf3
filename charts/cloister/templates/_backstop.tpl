{{/* Of the policies with which the API server enforces the profiles itself, as JSON: the name of each binding, its policy, what it selects, and the policy that must exist */}}
{{- define "cloister.backstopBindings" -}}
{{- $bindings := list }}
{{- $ofMissing := list }}
{{- if .Values.backstop.enabled }}
{{- $profiles := .Values.profiles | default dict }}
{{- $ids := keys $profiles | sortAlpha }}
{{- $enforce := "cloister.dev/enforce" }}
{{- $profileLabel := "cloister.dev/profile" }}
{{- $outside := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" (include "cloister.ungovernedNamespaces" . | fromJsonArray) }}
{{- $unlabelled := dict "key" $enforce "operator" "DoesNotExist" }}
{{- $unknown := list (dict "key" $enforce "operator" "Exists") }}
{{- $misnamed := list (dict "key" $profileLabel "operator" "Exists") }}
{{- if $ids }}
{{- $unknown = append $unknown (dict "key" $enforce "operator" "NotIn" "values" $ids) }}
{{- $misnamed = append $misnamed (dict "key" $profileLabel "operator" "NotIn" "values" $ids) }}
{{- end }}

{{- $enforcedByName := list (dig "enforce" "" (.Values.default | default dict)) }}
{{- range .Values.governs }}{{ $enforcedByName = append $enforcedByName (dig "enforce" "" .) }}{{ end }}

{{- /* Each with its name, its policy, its selectors, and the policy that must exist */ -}}
{{- range $id := $ids }}
{{- $policy := printf "cloister-profile-%s" $id }}
{{- $missing := printf "cloister-missing-policy-%s" $id }}
{{- $choices := include "cloister.mayChoose" (dict "profiles" $profiles "id" $id) | fromJsonArray }}
{{- $choosers := list }}
{{- range $each := $ids }}
{{- if has $id (include "cloister.mayChoose" (dict "profiles" $profiles "id" $each) | fromJsonArray) }}{{ $choosers = append $choosers $each }}{{ end }}
{{- end }}
{{- $isEnforcedByName := false }}
{{- range $enforcedByName }}{{ if or (eq . $id) (and . (has . $choosers)) }}{{ $isEnforcedByName = true }}{{ end }}{{ end }}
{{- $named := dict "matchExpressions" (list (dict "key" $profileLabel "operator" "In" "values" (list $id))) }}
{{- $labelled := dict "matchExpressions" (list (dict "key" $enforce "operator" "In" "values" (list $id)) $outside) }}

{{- $resources := dict "namespaceSelector" $labelled }}
{{- if $choices }}
{{- $_ := set $resources "objectSelector" (dict "matchExpressions" (list (dict "key" $profileLabel "operator" "NotIn" "values" $choices))) }}
{{- end }}
{{- $bindings = append $bindings (dict "name" (printf "%s-namespace" $policy) "policy" $policy "resources" $resources) }}
{{- $ofMissing = append $ofMissing (dict "name" (printf "%s-namespace" $missing) "policy" "cloister-missing-policy" "resources" (dict "namespaceSelector" $labelled) "wanted" $policy) }}
{{- if $choosers }}
{{- $chosen := dict "namespaceSelector" (dict "matchExpressions" (list (dict "key" $enforce "operator" "In" "values" $choosers) $outside)) "objectSelector" $named }}
{{- $bindings = append $bindings (dict "name" (printf "%s-chosen" $policy) "policy" $policy "resources" $chosen) }}
{{- $ofMissing = append $ofMissing (dict "name" (printf "%s-chosen" $missing) "policy" "cloister-missing-policy" "resources" $chosen "wanted" $policy) }}
{{- end }}
{{- $resources = dict "namespaceSelector" (dict "matchExpressions" (list $unlabelled $outside)) }}
{{- if not $isEnforcedByName }}{{ $_ := set $resources "objectSelector" $named }}{{ end }}
{{- $bindings = append $bindings (dict "name" (printf "%s-unlabelled" $policy) "policy" $policy "resources" $resources) }}
{{- $optedIn := dict "namespaceSelector" (dict "matchExpressions" (list $unlabelled $outside)) "objectSelector" $named }}
{{- $ofMissing = append $ofMissing (dict "name" (printf "%s-opted-in" $missing) "policy" "cloister-missing-policy" "resources" $optedIn "wanted" $policy) }}
{{- end }}

{{- $policy := "cloister-unknown-profile" }}
{{- $resources := dict "namespaceSelector" (dict "matchExpressions" (append $unknown $outside)) }}
{{- $bindings = append $bindings (dict "name" (printf "%s-namespace" $policy) "policy" $policy "resources" $resources) }}
{{- $ofMissing = append $ofMissing (dict "name" "cloister-missing-policy" "policy" "cloister-missing-policy" "resources" $resources "wanted" $policy) }}
{{- $resources = dict "namespaceSelector" (dict "matchExpressions" (list $unlabelled $outside)) "objectSelector" (dict "matchExpressions" $misnamed) }}
{{- $bindings = append $bindings (dict "name" (printf "%s-pod" $policy) "policy" $policy "resources" $resources) }}
{{- end }}
{{- /* Helm deletes in this order, and a policy is deleted with its first binding. */ -}}
{{- concat $ofMissing $bindings | toJson }}
{{- end }}
