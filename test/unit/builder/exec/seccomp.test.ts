import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seccompProfile } from '../../../../src/builder/exec/seccomp.ts'

const EPERM = 1
const ENOSYS = 38

/** What the kernel does with a call, by the meaning that libseccomp gives to rules: `allow` or an errno. */
function answer(name: string, args: readonly bigint[] = [], machine = 'x64'): 'allow' | number {
  const { syscalls, defaultErrnoRet } = seccompProfile(machine)
  const found = syscalls
    .filter(
      rule =>
        rule.names.includes(name) &&
        (rule.args ?? []).every(({ index, op, value, valueTwo = 0 }) => {
          const given = args[index] ?? 0n
          assert.ok(op === 'SCMP_CMP_EQ' || op === 'SCMP_CMP_MASKED_EQ')
          return op === 'SCMP_CMP_EQ' ? given === BigInt(value) : (given & BigInt(value)) === BigInt(valueTwo)
        }),
    )
    .map(rule => (rule.action === 'SCMP_ACT_ALLOW' ? 'allow' : (rule.errnoRet ?? 0)))
  assert.ok(new Set(found).size <= 1, `rules contradict each other for ${name}(${args})`)
  return found[0] ?? defaultErrnoRet
}

const KERNEL = `
  mount umount umount2 pivot_root move_mount fsopen fsmount fsconfig fspick open_tree mount_setattr setns unshare
  init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff bpf perf_event_open
  userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key open_by_handle_at
  settimeofday clock_settime stime acct quotactl syslog vhangup iopl ioperm kcmp process_madvise pidfd_getfd
  lookup_dcookie mbind set_mempolicy move_pages nfsservctl sethostname setdomainname create_module
  get_kernel_syms query_module uselib ustat sysfs vm86 vm86old fanotify_init lsm_set_self_attr`

const NEEDED = 'execve fork vfork wait4 ptrace chroot mknod fchownat setxattr seccomp prctl statx openat'

for (const machine of ['x64', 'arm64', 'ppc64', 's390x', 'riscv64', 'one of tomorrow']) {
  test(`seccompProfile('${machine}') refuses what reaches the kernel or other containers`, () => {
    for (const name of KERNEL.trim().split(/\s+/)) assert.equal(answer(name, [], machine), EPERM, name)
  })

  test(`seccompProfile('${machine}') allows what package managers, compilers and sandboxes of theirs need`, () => {
    for (const name of NEEDED.split(' ')) assert.equal(answer(name, [], machine), 'allow', name)
  })

  test(`seccompProfile('${machine}') has nothing that it does not know`, () => {
    assert.equal(answer('call_of_tomorrow', [], machine), ENOSYS)
  })

  test(`seccompProfile('${machine}') names no system call twice without a condition`, () => {
    const names = seccompProfile(machine).syscalls.flatMap(rule =>
      rule.args === undefined ? rule.names : [],
    )
    assert.equal(new Set(names).size, names.length)
    assert.ok(names.length > 350)
  })
}

test('seccompProfile() lets clone make no namespaces, alone or together, and sends callers of clone3 to clone', () => {
  const SIGCHLD = 17n
  assert.equal(answer('clone', [SIGCHLD]), 'allow')
  // CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | SETTLS | PARENT_SETTID | CHILD_CLEARTID: a thread
  assert.equal(answer('clone', [0x3d0f00n]), 'allow')
  for (const flags of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n])
    assert.equal(answer('clone', [flags | SIGCHLD]), EPERM)
  assert.equal(answer('clone', [0x10020000n | SIGCHLD]), EPERM)
  assert.equal(answer('clone', [0x1_1000_0000n]), EPERM)
  assert.equal(answer('clone', [0n, 0x10000000n], 's390x'), EPERM)
  assert.equal(answer('clone', [0x10000000n, SIGCHLD], 's390x'), 'allow')
  assert.equal(answer('clone3'), ENOSYS)
})

test('seccompProfile() knows a terminal that is typed for also by a number with more bits', () => {
  for (const request of [0x5412n, 0x541cn]) {
    assert.equal(answer('ioctl', [0n, request]), EPERM)
    assert.equal(answer('ioctl', [0n, request | (1n << 32n)]), EPERM)
    for (let bit = 0n; bit < 32n; bit++) {
      const other = request ^ (1n << bit)
      assert.equal(answer('ioctl', [0n, other]), 'allow', other.toString(16))
    }
  }
  for (let request = 0x5400n; request < 0x5500n; request++)
    if (request !== 0x5412n && request !== 0x541cn) assert.equal(answer('ioctl', [0n, request]), 'allow')
})

test('seccompProfile() opens sockets of each kind but those of virtual machines', () => {
  for (let family = 0n; family < 50n; family++)
    assert.equal(answer('socket', [family]), family === 40n ? EPERM : 'allow')
  assert.equal(answer('socket', [40n | (1n << 32n)]), EPERM)
  assert.equal(answer('socket', [0xffffffffn]), 'allow')
})

test('seccompProfile() lets a process be Linux, and nothing older', () => {
  for (const persona of [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn])
    assert.equal(answer('personality', [persona]), 'allow')
  for (const persona of [1n, 0x40000n, 0x400000n]) assert.notEqual(answer('personality', [persona]), 'allow')
})

test('seccompProfile() lets 32-bit programs of x86 run, and none of x32, whose table would double the start of a step', () => {
  assert.deepEqual(seccompProfile('x64').architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'])
})
