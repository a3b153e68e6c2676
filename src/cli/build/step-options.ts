/** What steps run with. */
import { isIP } from 'node:net'
import type { BuildOptions } from '../../builder/build-options.ts'
import type { NetworkMode } from '../../builder/exec/executor.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import { parseSecrets, requireSecretFiles } from '../secrets.ts'
import type { Terminal } from '../terminal.ts'

const NETWORKS: readonly NetworkMode[] = ['default', 'host', 'none']

export const STEP_OPTIONS: OptionSpecs = {
  network: { value: 'MODE', help: `Network of RUN: ${NETWORKS.join(', ')}` },
  'add-host': {
    value: 'NAME:ADDRESS',
    repeated: true,
    help: 'Add a line to /etc/hosts of RUN (or :host-gateway)',
  },
  secret: {
    value: 'id=NAME[,src=FILE|,env=NAME]',
    repeated: true,
    help: 'A file or variable for RUN --mount=type=secret',
  },
  ssh: {
    value: 'ID[=SOCKET|KEY[,KEY]]',
    repeated: true,
    help: 'An ssh agent or keys for RUN --mount=type=ssh and Git',
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
  const secrets = parseSecrets(args.values('secret'), terminal)
  requireSecretFiles(secrets)
  return {
    network,
    extraHosts: args
      .values('add-host')
      .flatMap(text => text.split(','))
      .map(text => readHost(text, refuse)),
    secrets,
  }
}

/** Steps share the network of this machine, in which it has this address (docs/decisions/network-of-run.md). */
const HOST_GATEWAY = '127.0.0.1'

/** `NAME:ADDRESS` or `NAME=ADDRESS`, an IPv6 address with or without brackets; as `NAME:ADDRESS`. */
function readHost(text: string, refuse: Refuse): string {
  const [, name, given = ''] = /^([^:=\s]+)[:=](.+)$/.exec(text) ?? []
  const address = given === 'host-gateway' ? HOST_GATEWAY : given.replace(/^\[(.*)\]$/, '$1')
  if (name === undefined || isIP(address) === 0)
    throw refuse(`--add-host ${JSON.stringify(text)} is not NAME:ADDRESS with an IP address or host-gateway`)
  return `${name}:${address}`
}

function isNetwork(text: string): text is NetworkMode {
  return NETWORKS.some(mode => mode === text)
}
