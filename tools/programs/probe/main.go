// Probe tries, as root of a container, what only root of the node may do, and prints a line of JSON for each attempt. Each attempt is harmless
// where it goes through: what is opened is closed, what is changed is put back, and a system call that would act gets arguments that the
// kernel refuses only after it has agreed to the caller.
//
//	probe try MAJOR:MINOR HOST      a disk of the node, and the API server's address
//	probe hold GROUP SETTING...     raises each setting (fs.file-max) by one and makes control groups of that name, until its input ends
//
// Whether a change of `hold` reached the node cannot be seen from inside: namespaces and runtimes show a pod values of its own. The caller
// looks at the node while the change is held.
package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

type attempt struct {
	name string
	// A kernel decides: where the pod has its own kernel, success is not an escape.
	ofKernel bool
	// Returns how the attempt succeeded, or the error that stopped it.
	try func() (string, error)
}

type result struct {
	Name     string `json:"name"`
	OfKernel bool   `json:"ofKernel"`
	Through  bool   `json:"through"`
	Detail   string `json:"detail"`
}

var attempts = []attempt{
	{"read a disk of the node", true, onDisk(read)},
	{"mount a disk of the node", true, onDisk(mountReadOnly)},
	{"choose the program that is run when one crashes (core_pattern)", true, open("/proc/sys/kernel/core_pattern", os.O_WRONLY)},
	{"command the kernel (sysrq)", true, open("/proc/sysrq-trigger", os.O_WRONLY)},
	{"read the kernel's log (/dev/kmsg)", true, withDevice(unix.S_IFCHR, 1, 11, read)},
	{"read the kernel's log (syslog)", true, call(unix.SYS_SYSLOG, nil, 3, address(make([]byte, 64)), 64)},
	{"read the machine's memory (/dev/mem)", true, withDevice(unix.S_IFCHR, 1, 1, read)},
	{"set the clock", true, setClock},
	{"load a module into the kernel", true, call(unix.SYS_INIT_MODULE, []unix.Errno{unix.ENOEXEC, unix.EFAULT}, 0, 0, 0)},
	{"load another kernel (kexec)", true, call(unix.SYS_KEXEC_LOAD, []unix.Errno{unix.EINVAL}, 0, 0, 0, 0xffff)},
	{"swap to a file", true, call(unix.SYS_SWAPON, []unix.Errno{unix.ENOENT}, path("/nonexistent"), 0)},
	{"open a file by its handle, past every mount", true, openByHandle},
	{"load a program into the kernel (bpf)", true, loadProgram},
	{"watch all processes of a processor (perf)", true, watchProcessor},
	{"mount debugfs", true, mount("debugfs")},
	{"mount tracefs", true, mount("tracefs")},
	{"mount securityfs", true, mount("securityfs")},
	{"trace a process of the node", false, traceNode},
	{"enter the mounts of a process of the node", false, enterNode},
	{"read a file that is root's alone on the node", false, below("etc/shadow", read)},
	{"read the kubelet's key", false, below("tmp/cloister-*/node/kubelet-client.key", read)},
	{"read another pod's files", false, below("var/lib/kubelet/pods/*/volumes/kubernetes.io~empty-dir/*/secret", read)},
	{"write into a folder of the node", false, below("etc", write)},
	{"read all Secrets with the pod's token", false, func() (string, error) { return readSecrets("/var/run/secrets/kubernetes.io/serviceaccount/token") }},
	{"read all Secrets with another pod's token", false, below("var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*/token", readSecrets)},
}

func main() {
	runtime.LockOSThread() // who traces is a thread
	switch arguments := os.Args[1:]; {
	case len(arguments) == 3 && arguments[0] == "try":
		try(arguments[1], arguments[2])
	case len(arguments) > 1 && arguments[0] == "hold":
		hold(arguments[1], arguments[2:])
	default:
		fmt.Fprintln(os.Stderr, "usage: probe try MAJOR:MINOR HOST | probe hold GROUP SETTING...")
		os.Exit(2)
	}
}

func try(disk, host string) {
	node.disk, node.host = disk, host
	for _, each := range attempts {
		detail, err := each.try()
		report(each.name, each.ofKernel, detail, err)
	}
}

// What the attempts are aimed at.
var node struct{ disk, host string }

func report(name string, ofKernel bool, detail string, err error) {
	if err != nil {
		detail = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(result{name, ofKernel, err == nil, detail})
}

// Longer than any look at the node takes: what is held is put back even where the other end of the input is lost without a sign.
const holdLimit = 2 * time.Minute

func hold(group string, settings []string) {
	// Caught before anything is changed. A broken pipe too: without a reader everything is still put back.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGPIPE)
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	for _, setting := range settings {
		putBack, err := raise("/proc/sys/" + strings.ReplaceAll(setting, ".", "/"))
		defer putBack()
		report("raise "+setting, true, "raised, and put back", err)
	}
	remove, err := makeControlGroups(group)
	defer remove()
	report("make a control group", true, "made, and removed", err)
	select {
	case <-ended:
	case <-signals:
	case <-time.After(holdLimit):
	}
}

func read(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	// Some devices show nothing to read; that they can be opened is what counts.
	if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return "opened", nil
	}
	buffer := make([]byte, 512)
	count, err := file.Read(buffer)
	return fmt.Sprintf("%d bytes read", count), err
}

func write(folder string) (string, error) {
	file := filepath.Join(folder, "cloister-probe")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return "", err
	}
	return "written, and removed", os.Remove(file)
}

func open(path string, flags int) func() (string, error) {
	return func() (string, error) {
		file, err := os.OpenFile(path, flags, 0)
		if err != nil {
			return "", err
		}
		return "opened", file.Close()
	}
}

// Raises a number of the kernel's by one, and returns what puts it back.
func raise(path string) (putBack func(), err error) {
	putBack = func() {}
	before, err := os.ReadFile(path)
	if err != nil {
		return putBack, err
	}
	value, err := strconv.ParseUint(strings.TrimSpace(string(before)), 10, 63)
	if err != nil {
		return putBack, err
	}
	// systemd sets fs.file-max to the most that the kernel takes.
	if value == math.MaxInt64 {
		return putBack, errors.New("at its maximum")
	}
	raised := strconv.FormatUint(value+1, 10)
	if err := os.WriteFile(path, []byte(raised), 0); err != nil {
		return putBack, err
	}
	putBack = func() { _ = os.WriteFile(path, before, 0) }
	after, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(after)) != raised {
		err = fmt.Errorf("%s took %s, and says %s", path, raised, strings.TrimSpace(string(after)))
	}
	return putBack, err
}

// Devices and mounts

func withDevice(kind uint32, major, minor uint32, use func(string) (string, error)) func() (string, error) {
	return func() (string, error) {
		folder, err := os.MkdirTemp("", "probe")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(folder)
		device := filepath.Join(folder, "device")
		if err := unix.Mknod(device, kind|0o600, int(unix.Mkdev(major, minor))); err != nil {
			return "", fmt.Errorf("mknod: %w", err)
		}
		return use(device)
	}
}

func onDisk(use func(string) (string, error)) func() (string, error) {
	return func() (string, error) {
		var major, minor uint32
		if _, err := fmt.Sscanf(node.disk, "%d:%d", &major, &minor); err != nil {
			return "", err
		}
		return withDevice(unix.S_IFBLK, major, minor, use)()
	}
}

func mountReadOnly(device string) (string, error) {
	content, _ := os.ReadFile("/proc/filesystems")
	last := error(unix.ENODEV)
	for _, line := range strings.Split(string(content), "\n") {
		kind := strings.TrimSpace(line)
		if kind == "" || strings.HasPrefix(line, "nodev") {
			continue
		}
		detail, err := mountAt(device, kind, unix.MS_RDONLY)
		if errors.Is(err, unix.EBUSY) {
			return "agreed to: the disk is in use", nil
		}
		if err == nil {
			return detail + ", as " + kind, nil
		}
		last = err
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			break
		}
	}
	return "", last
}

func mount(kind string) func() (string, error) {
	return func() (string, error) { return mountAt("none", kind, 0) }
}

func mountAt(source, kind string, flags uintptr) (string, error) {
	folder, err := os.MkdirTemp("", "probe")
	if err != nil {
		return "", err
	}
	defer os.Remove(folder)
	if err := unix.Mount(source, folder, kind, flags, ""); err != nil {
		return "", fmt.Errorf("mount: %w", err)
	}
	return "mounted, and unmounted", unix.Unmount(folder, unix.MNT_DETACH)
}

// Makes a control group of that name wherever one can be made: at the root of every hierarchy, mounted for it, and in every folder of
// /sys/fs/cgroup, made writable where it is not. Returns what removes them.
func makeControlGroups(name string) (remove func(), err error) {
	parents, unmount := mountHierarchies()
	found, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	for _, procs := range append(found, "/sys/fs/cgroup/cgroup.procs") {
		if parent := filepath.Dir(procs); isControlGroup(parent) {
			_ = unix.Mount("", parent, "", unix.MS_REMOUNT|unix.MS_BIND, "")
			parents = append(parents, parent)
		}
	}
	var made []string
	err = unix.ENOENT
	for _, parent := range parents {
		folder := filepath.Join(parent, name)
		if failed := os.Mkdir(folder, 0o700); failed != nil {
			err = failed
			continue
		}
		made = append(made, folder)
	}
	if len(made) > 0 {
		err = nil
	}
	remove = func() {
		for _, folder := range made {
			_ = os.Remove(folder)
		}
		unmount()
	}
	return remove, err
}

// Mounts every hierarchy of control groups that this process is in, as far as the kernel lets it.
func mountHierarchies() (folders []string, unmount func()) {
	groups, _ := os.ReadFile("/proc/self/cgroup")
	for _, line := range strings.Split(strings.TrimSpace(string(groups)), "\n") {
		fields := strings.SplitN(line, ":", 3) // such as 4:memory:/kubepods, of version 2 0::/kubepods
		if len(fields) != 3 {
			continue
		}
		kind, options := "cgroup", fields[1]
		switch {
		case options == "":
			kind = "cgroup2"
		case strings.HasPrefix(options, "name="):
			options = "none," + options
		}
		folder, err := os.MkdirTemp("", "probe")
		if err != nil {
			continue
		}
		if err := unix.Mount("none", folder, kind, 0, options); err != nil {
			_ = os.Remove(folder)
			continue
		}
		folders = append(folders, folder)
	}
	return folders, func() {
		for _, folder := range folders {
			_ = unix.Unmount(folder, unix.MNT_DETACH)
			_ = os.Remove(folder)
		}
	}
}

func isControlGroup(folder string) bool {
	var about unix.Statfs_t
	err := unix.Statfs(folder, &about)
	return err == nil && (about.Type == unix.CGROUP_SUPER_MAGIC || about.Type == unix.CGROUP2_SUPER_MAGIC)
}

// System calls

// Calls, and takes an error of `past` for a call that the kernel has agreed to.
func call(number uintptr, past []unix.Errno, arguments ...uintptr) func() (string, error) {
	return func() (string, error) {
		var all [6]uintptr
		copy(all[:], arguments)
		_, _, errno := unix.Syscall6(number, all[0], all[1], all[2], all[3], all[4], all[5])
		for _, each := range past {
			if errno == each {
				return "agreed to: " + errno.Error(), nil
			}
		}
		if errno != 0 {
			return "", errno
		}
		return "done", nil
	}
}

var kept [][]byte // alive as long as the addresses below

func address(bytes []byte) uintptr {
	kept = append(kept, bytes)
	return uintptr(unsafe.Pointer(&bytes[0]))
}

func path(name string) uintptr { return address(append([]byte(name), 0)) }

func setClock() (string, error) {
	var now unix.Timex
	if _, err := unix.Adjtimex(&now); err != nil {
		return "", err
	}
	same := unix.Timex{Modes: unix.ADJ_TICK, Tick: now.Tick}
	if _, err := unix.Adjtimex(&same); err != nil {
		return "", err
	}
	return "set as it was", nil
}

func openByHandle() (string, error) {
	fd, err := unix.OpenByHandleAt(unix.AT_FDCWD, unix.NewFileHandle(1, []byte("\xff\xff\xff\xff\xff\xff\xff\xff")), unix.O_RDONLY)
	if err == nil {
		return "opened", unix.Close(fd)
	}
	if errors.Is(err, unix.ESTALE) || errors.Is(err, unix.EINVAL) {
		return "agreed to: " + err.Error(), nil
	}
	return "", err
}

// The program returns at once, and is for kernel probes: only who may watch the kernel may load one.
func loadProgram() (string, error) {
	instructions := []byte{0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0}
	attributes := struct {
		kind, count           uint32
		instructions, license uint64
		rest                  [12]uint64
	}{kind: unix.BPF_PROG_TYPE_KPROBE, count: 2, instructions: uint64(address(instructions)), license: uint64(path("GPL"))}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes))
	if errno != 0 && errno != unix.EINVAL {
		return "", errno
	}
	if errno == 0 {
		_ = unix.Close(int(fd))
	}
	return "agreed to", nil
}

func watchProcessor() (string, error) {
	event := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
	fd, err := unix.PerfEventOpen(&event, -1, 0, -1, 0)
	if err != nil {
		return "", err
	}
	return "watching", unix.Close(fd)
}

// The node

var errOutOfSight = errors.New("out of sight: no volume shows it, and no process of the node is there to go through")

// A process of the node that can be seen from here: the kubelet, because a pod may run a containerd of its own for Docker.
func nodeProcess() (int, error) {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if comm, _ := os.ReadFile(name); strings.TrimSpace(string(comm)) == "kubelet" {
			return strconv.Atoi(filepath.Base(filepath.Dir(name)))
		}
	}
	return 0, errOutOfSight
}

func traceNode() (string, error) {
	pid, err := nodeProcess()
	if err != nil {
		return "", err
	}
	if err := unix.PtraceSeize(pid); err != nil {
		return "", err
	}
	return "taken hold of, and let go", nil // with the end of this program
}

func enterNode() (string, error) {
	pid, err := nodeProcess()
	if err != nil {
		return "", err
	}
	return open(fmt.Sprintf("/proc/%d/ns/mnt", pid), os.O_RDONLY)()
}

// What is below the node's root, wherever that can be had: where a volume shows it, or through one of its processes.
func below(pattern string, use func(string) (string, error)) func() (string, error) {
	return func() (string, error) {
		roots := []string{"/host"}
		if pid, err := nodeProcess(); err == nil {
			roots = append(roots, fmt.Sprintf("/proc/%d/root", pid))
		}
		last := errOutOfSight
		for _, root := range roots {
			found, _ := filepath.Glob(filepath.Join(root, pattern))
			for _, each := range found {
				detail, err := use(each)
				if err == nil {
					return detail + ": " + each, nil
				}
				last = err
			}
		}
		return "", last
	}
}

func readSecrets(tokenFile string) (string, error) {
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequest(http.MethodGet, "https://"+node.host+"/api/v1/secrets", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", errors.New("the API server: " + answer.Status)
	}
	return "read", nil
}
