import { findProgram } from '../../linux/find-program.ts'
import type { Finding } from './finding.ts'

/** What some Dockerfiles want, and the Debian package that has it. */
const OPTIONAL = [
  { program: 'git', wantedFor: 'contexts and ADD from Git repositories', debianPackage: 'git' },
  { program: 'xz', wantedFor: 'ADD of .tar.xz', debianPackage: 'xz-utils' },
  { program: 'bzip2', wantedFor: 'ADD of .tar.bz2', debianPackage: 'bzip2' },
  { program: 'ssh-agent', wantedFor: 'keys for RUN --mount=type=ssh', debianPackage: 'openssh-client' },
] as const

/** @param path directories separated by `:` */
export function checkPrograms(path: string): Finding {
  const subject = 'other programs'
  const missing = OPTIONAL.filter(({ program }) => findProgram(program, path) === undefined)
  if (missing.length === 0)
    return { subject, state: 'good', found: OPTIONAL.map(({ program }) => program).join(', ') }
  return {
    subject,
    state: 'limited',
    found: `no ${missing.map(({ program }) => program).join(', ')}`,
    meaning: `not possible: ${missing.map(({ wantedFor }) => wantedFor).join('; ')}`,
    remedy: `apt-get install ${missing.map(({ debianPackage }) => debianPackage).join(' ')}`,
  }
}
