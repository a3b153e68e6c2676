# Tries to get out of the container that it runs in. Prints a line for each attempt: its name, and what came of it - "got out", or the
# number of the error (0: there was nothing to be had). Arguments: SECRET, a file of the host; PID, a process of the host; DISK, its major:minor; ABSTRACT, a Unix
# socket of the host without a file; PORT of the host's loopback.
my ($secret, $pid, $disk, $abstract, $port) = @ARGV;
my ($major, $minor) = split /:/, $disk;

# System calls by number, as bare Perl knows no names: x86-64, arm64.
my $machine = (split / /, `uname -m`)[0];
chomp $machine;
my $column = $machine eq 'aarch64' ? 1 : 0;
my %number = map { my ($name, @numbers) = split; $name => $numbers[$column] } split /\n/, <<'NUMBERS';
mount 165 40
umount2 166 39
pivot_root 155 41
open_tree 428 428
move_mount 429 429
fsopen 430 430
mount_setattr 442 442
unshare 272 97
setns 308 268
clone 56 220
clone3 435 435
init_module 175 105
finit_module 313 273
delete_module 176 106
kexec_load 246 104
reboot 169 142
bpf 321 280
perf_event_open 298 241
userfaultfd 323 282
io_uring_setup 425 425
keyctl 250 219
add_key 248 217
request_key 249 218
open_by_handle_at 304 265
name_to_handle_at 303 264
ptrace 101 117
process_vm_readv 310 270
pidfd_open 434 434
pidfd_getfd 438 438
fanotify_init 300 262
quotactl 179 60
swapon 167 224
acct 163 89
syslog 103 116
settimeofday 164 170
sethostname 170 161
ioctl 16 29
socket 41 198
setxattr 188 5
NUMBERS

$| = 1;
sub attempt {
    my ($name, $try) = @_;
    $! = 0;
    my $result = $try->();
    print "escape $name: ", ($result ? 'got out' : $! + 0), "\n";
}

# Perl refuses to hand out constant strings: the kernel might write to them.
sub kernel {
    my ($name, @arguments) = @_;
    return syscall($number{$name}, @arguments);
}

# A call that is refused returns -1, one that is let through also when its arguments make no sense: then with another error.
sub call {
    my ($name, @arguments) = @_;
    attempt($name, sub { kernel($name, @arguments) >= 0 });
}

sub writes {
    my ($path, $text) = @_;
    attempt("write $path", sub {
        open(my $file, '>', $path) or return 0;
        syswrite($file, $text) or return 0;
        1;
    });
}

sub reads {
    my ($name, $path) = @_;
    attempt($name, sub {
        open(my $file, '<', $path) or return 0;
        sysread($file, my $byte, 1);
    });
}

# --- the host's files
mkdir '/t';
attempt('mount the disk of the host', sub { kernel('mount', '/disk', '/t', 'ext4', 0, 0) == 0 });
attempt('mount /proc once more', sub { kernel('mount', 'proc', '/t', 'proc', 0, 0) == 0 });
attempt('mount control groups, for their release agent', sub { kernel('mount', 'c', '/t', 'cgroup', 0, 'rdma') == 0 });
attempt('make /proc/sys writable', sub { kernel('mount', '', '/proc/sys', '', 32 | 4096, 0) == 0 });
attempt('take the mask off /proc/kcore', sub { kernel('umount2', '/proc/kcore', 2) == 0 });
call('pivot_root', '/t', '/t');
call('open_tree', -100, '/', 1);
call('move_mount', -1, '', -1, '', 0);
call('fsopen', 'ext4', 0);
call('mount_setattr', -1, '', 0, 0, 0);
attempt('read the disk of the host', sub {
    system('mknod', '/disk', 'b', $major, $minor);
    open(my $file, '<', '/disk') or return 0;
    1;
});
# Shocker: the handle of inode 2 is the root directory of the host's file system.
attempt('open_by_handle_at', sub {
    open(my $here, '<', '/etc/hosts') or return 0;
    kernel('open_by_handle_at', fileno($here), pack('IiQ', 8, 1, 2), 0) >= 0;
});
reads('read a file of the host by its path', $secret);
reads('read it through /proc/1/root', "/proc/1/root$secret");
reads('read it through /proc/1/cwd', "/proc/1/cwd/../../../../../..$secret");
attempt('an open file that the runtime left', sub {
    opendir(my $folder, '/proc/self/fd') or return 1;
    my @links = map { readlink "/proc/self/fd/$_" } grep { $_ > 2 } readdir $folder;
    $! = 0;
    # This script, and the folder that is being read.
    scalar grep { !m{/escapes\.pl$|^/proc/\d+/fd$} } @links;
});
attempt('leave the root directory by chroot', sub {
    my $child = fork;
    if (!$child) {
        mkdir '/jail';
        opendir(my $above, '/') or exit 1;
        chroot '/jail';
        chdir $above;
        chdir '..' for 1 .. 50;
        chroot '.';
        exit(-e $secret ? 0 : 1);
    }
    waitpid $child, 0;
    $! = 2;
    $? == 0;
});

# --- the host's kernel
call('init_module', '', 0, '');
call('finit_module', 0, '', 0);
call('delete_module', 'ext4', 0);
call('kexec_load', 0, 0, 0, 0);
call('reboot', 0, 0, 0, 0);
call('bpf', 0, 0, 0);
call('perf_event_open', 0, 0, -1, -1, 0);
call('userfaultfd', 0);
call('io_uring_setup', 1, 0);
call('keyctl', 0, -3, 0);
call('add_key', 'user', 'x', 'y', 1, -3);
call('request_key', 'user', 'x', 0, 0);
call('fanotify_init', 0, 0);
call('quotactl', 0, 0, 0, 0);
call('swapon', '/disk', 0);
call('acct', 0);
call('syslog', 3, '', 0);
call('settimeofday', 0, 0);
call('sethostname', 'x', 1);
writes('/proc/sysrq-trigger', 'h');
writes('/proc/sys/kernel/core_pattern', '|/t/x');
writes('/proc/sys/kernel/modprobe', '/t/x');
writes('/proc/sys/kernel/hostname', 'x');
writes('/proc/sys/vm/drop_caches', '1');
writes('/proc/irq/default_smp_affinity', '1');
writes('/proc/self/oom_score_adj', '-1000');
writes('/sys/kernel/uevent_helper', '/t/x');
writes('/sys/power/state', 'mem');
writes('/sys/fs/cgroup/release_agent', '/t/x');
attempt('make a control group', sub { mkdir '/sys/fs/cgroup/x' });
reads('read /proc/kcore', '/proc/kcore');
reads('read /proc/keys', '/proc/keys');
reads('read /proc/timer_list', '/proc/timer_list');
reads('read /proc/interrupts', '/proc/interrupts');
attempt('list /sys/firmware', sub {
    opendir(my $folder, '/sys/firmware') or return 0;
    scalar grep { !/^\./ } readdir $folder;
});
for ([mem => 1, 1], [port => 1, 4], [kmsg => 1, 11], [fuse => 10, 229], [console => 5, 1]) {
    my ($name, $major, $minor) = @$_;
    attempt("open /dev/$name", sub {
        system('mknod', "/t/$name", 'c', $major, $minor);
        open(my $file, '<', "/t/$name") or return 0;
        1;
    });
}

# --- the host's processes
# A number that a process of the container has, too, means that one.
$pid += 0;
$pid = 4000000 if -e "/proc/$pid";
my $room = 'x' x 8;
my $vector = pack('P8 Q', $room, 8);
call('ptrace', 16, $pid, 0, 0);
call('process_vm_readv', $pid, $vector, 1, $vector, 1, 0);
call('pidfd_open', $pid, 0);
call('pidfd_getfd', 0, 0, 0);
attempt('kill a process of the host', sub { kill 'TERM', $pid });
attempt('see more than the own processes', sub {
    opendir(my $folder, '/proc') or return 0;
    (grep { /^\d+$/ } readdir $folder) > 5;
});

# --- namespaces, where more is allowed
call('unshare', 0x10000000);
attempt('unshare mounts', sub { kernel('unshare', 0x20000) == 0 });
call('setns', 0, 0);
attempt('clone', sub {
    my $child = kernel('clone', 0x10000000 | 17, 0, 0, 0, 0);
    exit 0 if $child == 0;
    $child > 0;
});
call('clone3', 0, 0);

# --- the terminal, sockets, marks of our own file systems
attempt('open the terminal', sub { open(my $file, '<', '/dev/tty') });
attempt('type into a terminal', sub {
    open(my $file, '+<', '/dev/ptmx') or return 0;
    kernel('ioctl', fileno($file), 0x5412, 'x') == 0;
});
attempt('type with a higher bit', sub {
    open(my $file, '+<', '/dev/ptmx') or return 0;
    kernel('ioctl', fileno($file), 0x5412 | 1 << 32, 'x') == 0;
});
attempt('a socket of virtual machines', sub { kernel('socket', 40, 1, 0) >= 0 });
attempt('one with a higher bit', sub { kernel('socket', 40 | 1 << 32, 1, 0) >= 0 });
attempt('an abstract socket of the host', sub {
    socket(my $socket, 1, 1, 0) or return 0;
    connect $socket, pack('S a*', 1, "\0$abstract");
});
attempt('the loopback of the host', sub {
    socket(my $socket, 2, 1, 0) or return 0;
    connect $socket, pack('S n C4 x8', 2, $port, 127, 0, 0, 1);
});
attempt('mark a directory for the overlay', sub { kernel('setxattr', '/t', 'trusted.overlay.opaque', 'y', 1, 0) == 0 });
attempt('make a file that nobody can delete', sub {
    open(my $file, '>', '/t/kept') or return 0;
    kernel('ioctl', fileno($file), 0x40086602, pack('Q', 0x10)) == 0;
});
attempt('write a file that is ours', sub { open(my $file, '>>', '/etc/resolv.conf') });

# Last, as it ends everything that it can: also this.
kill 'KILL', -1;
print "escape kill everything: 0\n";
