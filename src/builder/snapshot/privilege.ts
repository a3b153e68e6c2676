import { getuid } from 'node:process'
import { LinuxMissingError } from '../../linux/errors.ts'
import { loadLinux } from '../../linux/linux.ts'
import { BuildError } from '../errors.ts'

/** @throws BuildError `privilege-missing` unless we are root: layers are unpacked with their owners, and mounted */
export function requireRoot(): void {
  if (getuid?.() === 0) return
  throw new BuildError('privilege-missing', 'Cannot run: RUN needs root', {
    hint: "build as root, for example with sudo; a build without RUN does not need it; 'slipway doctor' tells more",
  })
}

/** @throws BuildError `privilege-missing` where there are no calls of Linux */
export async function requireLinux(): Promise<void> {
  try {
    await loadLinux()
  } catch (error) {
    if (!(error instanceof LinuxMissingError)) throw error
    throw new BuildError('privilege-missing', `Cannot run: RUN needs Linux. ${error.message}`, {
      cause: error,
      hint: 'build on Linux with the GNU C library, or without RUN',
    })
  }
}
