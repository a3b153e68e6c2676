import { loadLinux } from '../../linux/linux.ts'
import type { Platform } from '../../oci/platform.ts'
import { createOwnedDirectory } from '../snapshot/owned-directory.ts'
import { runDirectory } from '../snapshot/stale-state.ts'
import { checkControlGroups } from './control-groups.ts'
import { checkDisk } from './disk.ts'
import { checkEmulators } from './emulators.ts'
import type { Finding } from './finding.ts'
import { checkNetwork } from './network.ts'
import { checkPrivileges, type Privileges } from './privileges.ts'
import { checkPrograms } from './programs.ts'
import { checkRootFilesystems } from './root-filesystems.ts'
import { checkRuntimes } from './runtimes.ts'

export interface Patient {
  readonly privileges: Privileges
  /** Of the open store, absolute. */
  readonly storeRoot: string
  /** Where to look for programs: directories separated by `:`. */
  readonly path: string
  readonly hostPlatform: Platform
}

/** What this machine has of what builds want, by trying it out. Leaves nothing behind. */
export async function examine(patient: Patient): Promise<readonly Finding[]> {
  const { privileges, storeRoot, path, hostPlatform } = patient
  return [
    ...checkPrivileges(privileges),
    ...(privileges.namespace === 'refused'
      ? []
      : await tryOut(storeRoot, path, privileges.namespace === 'none')),
    checkNetwork(path, privileges),
    await checkEmulators(hostPlatform),
    checkPrograms(path),
    checkDisk(storeRoot),
  ]
}

async function tryOut(storeRoot: string, path: string, isRealRoot: boolean): Promise<readonly Finding[]> {
  await using work = createOwnedDirectory(await loadLinux(), runDirectory(storeRoot))
  return [
    await checkRootFilesystems(storeRoot),
    await checkRuntimes(storeRoot, path),
    await checkControlGroups(`${work.path}/cgroup`, isRealRoot),
  ]
}
