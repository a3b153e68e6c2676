# Calls what programs in a RUN need: package managers, compilers, runtimes of languages, sandboxes of their own. Prints the names of
# those that are refused.
my $machine = `uname -m`;
my $column = $machine =~ /aarch64/ ? 1 : 0;
my @refused;

sub needs {
    my ($name, $numbers, @arguments) = @_;
    my $result = syscall($numbers->[$column], @arguments);
    push @refused, "$name ($!)" if $result < 0;
    return $result;
}

mkdir '/o';
open(my $file, '+>', '/o/file');
syswrite($file, 'content');
my ($path, $buffer) = ('/o/file', "\0" x 256);
my ($user, $capability, $value) = ('user.x', 'security.capability', pack('V5', 0x02000001, 0x400, 0, 0, 0));

needs('personality', [135, 92], 0xffffffff);
needs('memfd_create', [319, 279], $path, 0);
needs('mlock', [149, 228], $buffer, 64);
needs('inotify_init1', [294, 26], 0);
needs('epoll_create1', [291, 20], 0);
needs('eventfd2', [290, 19], 0, 0);
needs('timerfd_create', [283, 85], 1, 0);
needs('getrandom', [318, 278], $buffer, 16, 0);
needs('statx', [332, 291], -100, $path, 0, 0x7ff, $buffer);
needs('openat2', [437, 437], -100, $path, pack('Q3', 0, 0, 0), 24);
needs('close_range', [436, 436], 500, 600, 0);
needs('faccessat2', [439, 439], -100, $path, 4, 0);
needs('fallocate', [285, 47], fileno($file), 0, 0, 4096);
needs('setxattr of a user', [188, 5], $path, $user, $value, 4, 0);
needs('setxattr of capabilities', [188, 5], $path, $capability, $value, 20, 0);
needs('prlimit64', [302, 261], 0, 7, 0, $buffer);
needs('sched_getaffinity', [204, 123], 0, 128, $buffer);
needs('pidfd_open', [434, 434], $$, 0);
needs('process_vm_readv of its own', [310, 270], $$, pack('P8 Q', $buffer, 8), 1, pack('P8 Q', $buffer, 8), 1, 0);
needs('io_setup', [206, 0], 1, pack('Q', 0));
needs('shmget', [29, 194], 0, 4096, 01600);
needs('semget', [64, 190], 0, 1, 01600);
needs('msgget', [68, 186], 0, 01600);
needs('socketpair', [53, 199], 1, 1, 0, $buffer);
needs("socket $_", [41, 198], $_, $_ == 17 ? 3 : 1, 0) for 1, 2;
needs('socket of netlink', [41, 198], 16, 3, 0);
needs('raw socket', [41, 198], 2, 3, 1);
needs('packet socket', [41, 198], 17, 3, 0);
needs('seccomp, which actions there are', [317, 277], 2, 0, pack('V', 0x7fff0000));
system('mknod', '/o/null', 'c', 1, 3) == 0 or push @refused, 'mknod';
chown(4000000000, 5, $path) or push @refused, 'chown';
chmod(04755, $path) or push @refused, 'chmod';
my $child = fork;
if (!$child) {
    # As debuggers and fakeroot do; and chroot, as installers do.
    my $traced = syscall([101, 117]->[$column], 0, 0, 0, 0);
    exit($traced == 0 && chroot('/o') ? 0 : 1);
}
waitpid $child, 0;
push @refused, 'ptrace or chroot' if $?;
print "refused: @refused\n";
