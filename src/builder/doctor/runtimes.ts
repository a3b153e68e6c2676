import { basename } from 'node:path'
import { installedRuntimes } from '../exec/runtime.ts'
import { tryRuntime } from '../exec/runtime-executor.ts'
import type { Finding } from './finding.ts'

/** Runs the least of containers with each. Needs a user who is root, be it in a user namespace. */
export async function checkRuntimes(storeRoot: string, path: string): Promise<Finding> {
  const subject = 'OCI runtime'
  const works: string[] = []
  const problems: string[] = []
  for (const runtime of installedRuntimes(path)) {
    const problem = await tryRuntime(storeRoot, runtime)
    if (problem === undefined) works.push(basename(runtime))
    else problems.push(`${basename(runtime)} does not work (${problem})`)
  }
  const [used] = works
  if (used !== undefined)
    return { subject, state: 'good', found: [`${used} is used`, ...problems].join('; ') }
  return {
    subject,
    state: 'missing',
    found: problems.length === 0 ? 'none is installed' : problems.join('; '),
    meaning: 'no RUN, or with --isolation=chroot as root; all other instructions work',
    remedy:
      problems.length === 0
        ? 'apt-get install runc'
        : 'apt-get install runc, or name another: --runtime PATH',
  }
}
