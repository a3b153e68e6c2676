import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seccompProfile } from '../../../../src/builder/exec/seccomp.ts'

function allowed(machine: string): ReadonlySet<string> {
  const rules = seccompProfile(machine)?.syscalls ?? []
  return new Set(rules.filter(rule => rule.action === 'SCMP_ACT_ALLOW').flatMap(rule => rule.names))
}

const KERNEL = `
  mount umount umount2 pivot_root move_mount fsopen fsmount fsconfig fspick open_tree mount_setattr setns unshare
  init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff bpf perf_event_open
  userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key open_by_handle_at
  settimeofday clock_settime stime acct quotactl syslog vhangup iopl ioperm kcmp process_madvise pidfd_getfd
  lookup_dcookie mbind set_mempolicy move_pages nfsservctl sethostname setdomainname create_module
  get_kernel_syms query_module uselib ustat sysfs vm86 vm86old fanotify_init lsm_set_self_attr`

for (const machine of ['x64', 'arm64']) {
  test(`seccompProfile('${machine}') refuses what reaches the kernel or other containers`, () => {
    const names = allowed(machine)
    assert.deepEqual(
      KERNEL.trim()
        .split(/\s+/)
        .filter(name => names.has(name)),
      [],
    )
  })

  test(`seccompProfile('${machine}') names no system call twice without a condition`, () => {
    const names = seccompProfile(machine)?.syscalls[0]?.names ?? []
    assert.equal(new Set(names).size, names.length)
    assert.ok(names.length > 350)
  })
}

test('seccompProfile() allows what package managers, compilers and sandboxes of theirs need', () => {
  const names = allowed('x64')
  const needed =
    'clone execve fork vfork wait4 ptrace chroot mknod fchownat setxattr seccomp prctl socket ioctl statx'
  assert.deepEqual(
    needed.split(' ').filter(name => !names.has(name)),
    [],
  )
})

test('seccompProfile() lets clone make no namespaces, and sends callers of clone3 to clone', () => {
  const rules = seccompProfile('x64')?.syscalls ?? []
  const clone = rules.find(rule => rule.names.includes('clone'))
  assert.deepEqual(clone?.args, [{ index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }])
  assert.equal(rules.find(rule => rule.names.includes('clone3'))?.errnoRet, 38)
})

test('seccompProfile() of an unknown machine is none', () => {
  assert.equal(seccompProfile('riscv64'), undefined)
})
