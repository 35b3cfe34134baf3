// Package tools imports the packages with the custom resources, so that go.mod keeps their modules.
package tools

import (
	_ "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	_ "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)
