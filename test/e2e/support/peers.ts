import { join } from 'node:path'
import { succeed } from './process.ts'

/** podman with storage below a folder of the test's own. */
export function podmanIn(scratch: string): (args: readonly string[]) => Promise<string> {
  const state = join(scratch, 'podman')
  const folders = [
    '--root',
    join(state, 'root'),
    '--runroot',
    join(state, 'run'),
    '--tmpdir',
    join(state, 'tmp'),
  ]
  const engine = ['--runtime', 'runc', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none']
  return args => succeed('podman', [...folders, ...engine, ...args])
}

/** buildah likewise. */
export function buildahIn(scratch: string): (args: readonly string[]) => Promise<string> {
  const state = join(scratch, 'buildah')
  return args => succeed('buildah', ['--root', join(state, 'root'), '--runroot', join(state, 'run'), ...args])
}
