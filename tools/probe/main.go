// Probe tries, as root of a container, what only root of the node may do, and prints a line of JSON for each attempt. Each is harmless where
// it goes through: what is opened is closed, what is written is what was there, and a system call that would act is given what the kernel
// refuses only after it has agreed to the caller.
//
//	probe MAJOR:MINOR HOST    a disk of the node, and the API server's address
package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

type attempt struct {
	name string
	// A kernel decides: where a pod has one of its own, going through is no way out.
	ofKernel bool
	// Tells how it went through, or the error that stopped it.
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
	{"set a value of the kernel (vm.swappiness)", true, rewrite("/proc/sys/vm/swappiness")},
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
	{"make a control group", true, makeControlGroup},
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
	out := json.NewEncoder(os.Stdout)
	for _, each := range attempts {
		detail, err := each.try()
		if err != nil {
			detail = err.Error()
		}
		_ = out.Encode(result{each.name, each.ofKernel, err == nil, detail})
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

func rewrite(path string) func() (string, error) {
	return func() (string, error) {
		value, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		return "written as it was: " + strings.TrimSpace(string(value)), os.WriteFile(path, value, 0)
	}
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
		if _, err := fmt.Sscanf(os.Args[1], "%d:%d", &major, &minor); err != nil {
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

// As many hierarchies as there are, made writable first where they are not.
func makeControlGroup() (string, error) {
	folders, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	folders = append(folders, "/sys/fs/cgroup/cgroup.procs")
	last := error(unix.ENOENT)
	for _, procs := range folders {
		folder := filepath.Dir(procs)
		if !isControlGroup(folder) {
			continue
		}
		_ = unix.Mount("", folder, "", unix.MS_REMOUNT|unix.MS_BIND, "")
		group := filepath.Join(folder, "cloister-probe")
		if err := os.Mkdir(group, 0o700); err != nil {
			last = err
			continue
		}
		return "made and removed below " + folder, os.Remove(group)
	}
	return "", last
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

// A process of the node that can be seen from here.
func nodeProcess() (int, error) {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if comm, _ := os.ReadFile(name); strings.TrimSpace(string(comm)) == "containerd" {
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
	request, err := http.NewRequest(http.MethodGet, "https://"+os.Args[2]+"/api/v1/secrets", nil)
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
