/** `slipway doctor` as users of different power run it: what it says must be what a build then can do. */
import assert from 'node:assert/strict'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Finding } from '../../src/builder/doctor/finding.ts'
import { run } from './support/process.ts'
import { PROGRAM } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

interface Report {
  readonly findings: readonly Finding[]
  readonly trials: readonly {
    readonly isolation: string
    readonly works: boolean
    readonly problem?: string
  }[]
}

describe('slipway doctor', {
  skip: cannotRun({ root: true, programs: ['runc', 'setpriv', 'unshare'] }),
}, () => {
  let world: World
  before(async () => {
    world = await createWorld()
    await chmod(world.scratch, 0o711)
  })
  after(() => world?.[Symbol.asyncDispose]())

  /** As whoever `become` makes of us. */
  async function doctor(
    name: string,
    become: readonly string[],
  ): Promise<{ code: number | null; report: Report }> {
    const home = join(world.scratch, name)
    await mkdir(home)
    await chmod(home, 0o777)
    const [program = PROGRAM, ...args] = [
      ...become,
      PROGRAM,
      'doctor',
      '--format=json',
      '--root',
      join(home, 'store'),
    ]
    const { code, stdout, stderr } = await run(program, args, {
      env: { HOME: home, XDG_CACHE_HOME: join(home, 'cache') },
    })
    assert.notEqual(stdout, '', stderr)
    return { code, report: JSON.parse(stdout) }
  }

  const stateOf = ({ findings }: Report, subject: string): string | undefined =>
    findings.find(finding => finding.subject === subject)?.state

  it('finds that root can do all', async () => {
    const { code, report } = await doctor('root', [])
    assert.equal(code, 0)
    assert.deepEqual(
      ['user', 'root filesystems', 'OCI runtime', 'control groups'].map(subject => stateOf(report, subject)),
      ['good', 'good', 'good', 'good'],
    )
    assert.deepEqual(report.trials, [
      { isolation: 'oci', works: true },
      { isolation: 'chroot', works: true },
    ])
  })

  it('tells an ordinary user without subordinate ids how to get some, and that RUN works', async () => {
    const { code, report } = await doctor('user', [
      'setpriv',
      '--reuid=65533',
      '--regid=65533',
      '--clear-groups',
    ])
    assert.equal(code, 0)
    assert.equal(stateOf(report, 'user namespace'), 'good')
    const ids = report.findings.find(({ subject }) => subject === 'subordinate ids')
    assert.deepEqual([ids?.state, ids?.remedy], ['limited', 'useradd --uid 65533 NAME'])
    assert.deepEqual(
      report.trials.map(({ works }) => works),
      [true, true],
    )
  })

  it('tells who may neither be root nor have a user namespace that no RUN works, with exit code 1', async () => {
    // In a user namespace that allows none below it; the user there is an ordinary one.
    const script =
      'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
    const become = [
      'setpriv',
      '--reuid=65533',
      '--regid=65533',
      '--clear-groups',
      'unshare',
      '-U',
      '-r',
      'sh',
      '-c',
      script,
      'sh',
    ]
    const { code, report } = await doctor('nobody', become)
    assert.equal(code, 1)
    const namespace = report.findings.find(({ subject }) => subject === 'user namespace')
    assert.deepEqual(
      [namespace?.state, namespace?.remedy],
      ['missing', 'sysctl -w user.max_user_namespaces=15000'],
    )
    assert.ok(report.trials.every(({ works, problem }) => !works && problem !== undefined))
  })
})
