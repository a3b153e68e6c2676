import { CliError } from './errors.ts'

/** Those that end a command, which then cleans up. */
export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export type StoppingSignal = (typeof SIGNALS)[number]

/** Why a command ends that got the signal. */
export function stopped(signal: StoppingSignal): CliError {
  switch (signal) {
    case 'SIGINT':
      return new CliError('interrupted', 'Interrupted')
    case 'SIGTERM':
      return new CliError('terminated', 'Terminated')
    case 'SIGHUP':
      return new CliError('hung-up', 'Hung up: the terminal was closed')
  }
}
