/** What steps run with. */
import type { BuildOptions } from '../../builder/build.ts'
import type { NetworkMode } from '../../builder/exec/executor.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import { parseSecrets } from '../secrets.ts'
import type { Terminal } from '../terminal.ts'

const NETWORKS: readonly NetworkMode[] = ['default', 'host', 'none']

export const STEP_OPTIONS: OptionSpecs = {
  network: { value: 'MODE', help: `Network of RUN: ${NETWORKS.join(', ')}` },
  'add-host': { value: 'NAME:ADDRESS', repeated: true, help: 'Add a line to /etc/hosts of RUN' },
  secret: {
    value: 'id=NAME[,src=FILE|,env=NAME]',
    repeated: true,
    help: 'A file or variable for RUN --mount=type=secret',
  },
  runtime: {
    value: 'NAME',
    help: 'OCI runtime for RUN (default: the first of crun, runc, youki that works)',
  },
}

export function readStepOptions(
  args: Arguments,
  terminal: Terminal,
  refuse: Refuse,
): Pick<BuildOptions, 'network' | 'extraHosts' | 'secrets'> {
  const network = args.value('network') ?? 'default'
  if (!isNetwork(network)) throw refuse(`--network is ${NETWORKS.join(', ')}, not ${JSON.stringify(network)}`)
  return {
    network,
    extraHosts: args.values('add-host'),
    secrets: parseSecrets(args.values('secret'), terminal),
  }
}

function isNetwork(text: string): text is NetworkMode {
  return NETWORKS.some(mode => mode === text)
}
