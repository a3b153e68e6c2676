import type { Platform } from '../../oci/platform.ts'
import { BINFMT_DIRECTORY, runnableArchitectures } from '../exec/emulation.ts'
import type { Finding } from './finding.ts'

/** What people build for beside their own. */
const WANTED = ['amd64', 'arm64']

export async function checkEmulators(hostPlatform: Platform): Promise<Finding> {
  const subject = 'platforms'
  const runnable = await runnableArchitectures({ hostPlatform, directory: BINFMT_DIRECTORY })
  const missing = WANTED.filter(name => !runnable.includes(name))
  const found = `programs of ${runnable.join(', ')}`
  if (missing.length === 0) return { subject, state: 'good', found }
  return {
    subject,
    state: 'limited',
    found,
    meaning: `no RUN for ${missing.map(name => `linux/${name}`).join(', ')}; all other instructions work for every platform`,
    remedy: 'apt-get install qemu-user-static binfmt-support',
  }
}
