import type { OptionSpecs } from '../command.ts'

/** Options of `docker build` that ask for what is so anyway: scripts may give them. */
export const ACCEPTED_OPTIONS: OptionSpecs = {
  rm: { help: 'Nothing to do: steps leave no containers behind' },
  'force-rm': { help: 'Nothing to do: steps leave no containers behind' },
  compress: { help: 'Nothing to do: the context is read where it is' },
}

/** Options of `docker build` that we know and do not have: why, or what to do instead. */
export const REFUSED_OPTIONS: Readonly<Record<string, string>> = {
  'security-opt': 'every RUN has a seccomp filter and the default capabilities',
  builder: 'there is one builder, and it needs no daemon',
  debug: 'SLIPWAY_DEBUG=1 shows where an error came from',
  D: 'SLIPWAY_DEBUG=1 shows where an error came from',
  policy: 'there is no engine for source policies; FROM with a digest pins an image, ADD --checksum a file',
  squash: 'multi-stage builds and -o type=tar do what it was used for',
}
