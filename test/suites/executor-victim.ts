/** A process to be killed in the middle of a step: `executor-victim.ts STORE PATH`. Says "started" when it is time. */
import { readFileSync } from 'node:fs'
import { NO_LIMITS } from '../../src/builder/exec/limits.ts'
import { createRuntimeExecutor } from '../../src/builder/exec/runtime-executor.ts'
import { createOverlaySnapshotter } from '../../src/builder/snapshot/overlay-snapshotter.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { writeTar } from '../../src/oci/tar/writer.ts'
import { file, never } from './snapshotter-kit.ts'

const SECRET = Buffer.from('of the victim alone')
const [root = '', path = ''] = process.argv.slice(2)
const body = readFileSync('/bin/busybox')
const { entry } = file('busybox', '', { mode: 0o755 })
const snapshotter = createOverlaySnapshotter({ root })
await snapshotter.apply(
  digestOf('base'),
  undefined,
  writeTar([{ entry: { ...entry, size: body.length }, body }]),
  never,
)
await using active = await snapshotter.prepare(digestOf('base'))
await createRuntimeExecutor({ stateRoot: root, path }).run(
  {
    args: [
      '/busybox',
      'sh',
      '-c',
      'trap "" TERM HUP PIPE; echo started; while true; do /busybox sleep 1; done',
    ],
    env: [],
    cwd: '/',
    user: { uid: 0, gid: 0, additionalGids: [] },
    hostname: 'victim',
    network: 'none',
    extraHosts: [],
    limits: NO_LIMITS,
    isPrivileged: false,
    mounts: [{ kind: 'file', target: '/s', readOnly: true, content: SECRET, mode: 0o400, uid: 0, gid: 0 }],
  },
  active.mounts,
  { signal: never, output: (_stream, chunk) => void process.stdout.write(chunk) },
)
