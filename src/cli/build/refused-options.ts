/** Options of `docker build` that we know and do not have: why, or what to do instead. */
export const REFUSED_OPTIONS: Readonly<Record<string, string>> = {
  push: "give the image a registry's name with -t and run 'slipway push' (every 'slipway serve' has it already)",
  load: 'the image is in the store; -o type=docker,dest=- writes it for docker load',
  annotation: 'not yet',
  'security-opt': 'every RUN has a seccomp filter and the default capabilities',
  isolation: 'RUN is isolated by an OCI runtime; --runtime names it',
  compress: 'the context is read where it is and sent nowhere',
  rm: 'steps leave no containers behind',
  'force-rm': 'steps leave no containers behind',
  builder: 'there is one builder, and it needs no daemon',
  debug: 'SLIPWAY_DEBUG=1 shows where an error came from',
  D: 'SLIPWAY_DEBUG=1 shows where an error came from',
  policy: 'there is no engine for source policies; FROM with a digest pins an image, ADD --checksum a file',
  squash: 'multi-stage builds and -o type=tar do what it was used for',
}
