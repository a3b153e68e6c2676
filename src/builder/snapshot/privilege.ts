import { userInfo } from 'node:os'
import { BuildError } from '../errors.ts'

/** @throws BuildError `privilege-missing` unless we are root: layers are unpacked with their owners, and mounted */
export function requireRoot(): void {
  if (userInfo().uid === 0) return
  throw new BuildError('privilege-missing', 'Cannot run: RUN needs root in this version', {
    hint: 'build as root, for example with sudo; a build without RUN does not need it',
  })
}
