// An ordinary Go webhook, as the Kubebuilder book describes it: controller-runtime decodes the pod into its type, the handler changes the pod, and
// the patch is the difference between both. It does what the profile of the measured pods does and nothing else: no other rule, no report, and
// no check of the result.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/go-logr/logr"
)

type mutator struct{ decoder admission.Decoder }

func (m mutator) Handle(_ context.Context, request admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := m.decoder.Decode(request, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	cloister(pod)
	changed, err := json.Marshal(pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, changed)
}

type validator struct{ decoder admission.Decoder }

func (v validator) Handle(_ context.Context, request admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := v.decoder.Decode(request, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if fault := faultOf(pod); fault != "" {
		return admission.Denied(fault)
	}
	return admission.Allowed("")
}

func cloister(pod *corev1.Pod) {
	spec := &pod.Spec
	spec.HostUsers = new(bool)
	spec.HostNetwork, spec.HostPID, spec.HostIPC = false, false, false
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	spec.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	for index := range spec.Containers {
		container := &spec.Containers[index]
		if container.SecurityContext == nil {
			container.SecurityContext = &corev1.SecurityContext{}
		}
		context := container.SecurityContext
		if context.Privileged != nil {
			context.Privileged = new(bool)
		}
		escalation := true
		context.AllowPrivilegeEscalation = &escalation
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations["cloister.dev/profile-applied"] = "userns/sudo"
}

func faultOf(pod *corev1.Pod) string {
	spec := &pod.Spec
	if spec.HostUsers == nil || *spec.HostUsers {
		return "hostUsers must be false"
	}
	if spec.HostNetwork || spec.HostPID || spec.HostIPC {
		return "the namespaces of the host are not for pods"
	}
	for index := range spec.Containers {
		if context := spec.Containers[index].SecurityContext; context != nil && context.Privileged != nil && *context.Privileged {
			return "containers must not be privileged"
		}
	}
	return ""
}

func main() {
	folder := os.Args[1]
	ctrllog.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		log.Fatal(err)
	}
	decoder := admission.NewDecoder(scheme)
	mux := http.NewServeMux()
	mux.Handle("/mutate/", &admission.Webhook{Handler: mutator{decoder}})
	mux.Handle("/validate/", &admission.Webhook{Handler: validator{decoder}})

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	server := &http.Server{
		Handler:      mux,
		TLSConfig:    &tls.Config{MinVersion: tls.VersionTLS13},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1, as the others
	}
	log.Fatal(server.ServeTLS(listener, filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")))
}
