import { openStepNetwork } from '../exec/step-network.ts'
import type { Finding } from './finding.ts'
import type { Privileges } from './privileges.ts'

/** What `--network=default` means here. @param path where to look for programs: directories separated by `:` */
export function checkNetwork(path: string, { namespace }: Privileges): Finding {
  const subject = 'network of steps'
  const isRealRoot = namespace === 'none'
  const { helpers, problem } = openStepNetwork(path, isRealRoot)
  if (problem === undefined) {
    const [helper] = helpers ?? []
    const found =
      helper === undefined ? 'none, as this machine has none' : `their own, connected by ${helper.name}`
    return { subject, state: 'good', found }
  }
  return {
    subject,
    state: 'limited',
    found: `that of this machine: ${problem}`,
    meaning:
      'steps reach what listens on the loopback interface of this machine; --network=none keeps them from it',
    remedy: remedyOf(problem, isRealRoot),
  }
}

function remedyOf(problem: string, isRealRoot: boolean): string {
  if (problem.includes('may not be used')) return 'chmod 666 /dev/net/tun'
  if (problem.startsWith('there is no'))
    return 'modprobe tun; in a container, docker run --device /dev/net/tun'
  return `apt-get install ${isRealRoot ? 'slirp4netns' : 'passt'}`
}
