/**
 * What a Dockerfile may ask for that takes walls away, and only the user may give: a Dockerfile may be a stranger's.
 * Named as in BuildKit.
 */
import type { RunInstruction } from '../dockerfile/instructions.ts'
import { invalid } from '../dockerfile/invalid.ts'

export const ENTITLEMENTS = ['network.host', 'security.insecure'] as const

export type Entitlement = (typeof ENTITLEMENTS)[number]

/** @throws BuildError `dockerfile-invalid` with what to give to the build */
export function requireEntitlements(
  { network, security, span }: Pick<RunInstruction, 'network' | 'security' | 'span'>,
  allow: ReadonlySet<Entitlement>,
): void {
  if (security === 'insecure' && !allow.has('security.insecure'))
    throw invalid(
      'Cannot run without walls: RUN --security=insecure was not allowed',
      span,
      '--allow security.insecure lets it do to this machine what root may do',
    )
  if (network === 'host' && !allow.has('network.host'))
    throw invalid(
      'Cannot run in the network of this machine: RUN --network=host was not allowed',
      span,
      '--allow network.host lets it reach all that listens here, also on the loopback device',
    )
}
