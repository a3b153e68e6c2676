import {
  type ControlGroup,
  defaultGroupParent,
  openControlGroup,
  removeControlGroup,
} from '../exec/control-group.ts'
import type { Finding } from './finding.ts'

/**
 * Makes a group as a step gets it, and takes it away.
 * @param note path of a file that may be written meanwhile
 * @param isRealRoot whether we are root, and of no user namespace
 */
export async function checkControlGroups(note: string, isRealRoot: boolean): Promise<Finding> {
  let group: ControlGroup | undefined
  try {
    group = openControlGroup(defaultGroupParent(isRealRoot), 'doctor', note)
  } finally {
    await removeControlGroup(note)
  }
  const subject = 'control groups'
  const remedy =
    'build as root; as a user, where systemd hands out groups (version 2): systemd-run --user --scope -p Delegate=yes'
  if (group === undefined)
    return {
      subject,
      state: 'limited',
      found: 'none can be made here',
      meaning: '--memory, --cpus and --pids-limit are refused',
      remedy,
    }
  const missing = ['memory', 'cpu', 'pids'].filter(name => !group.controllers.includes(name))
  if (missing.length === 0)
    return { subject, state: 'good', found: 'memory, processors and processes of a step can be limited' }
  return {
    subject,
    state: 'limited',
    found: `without controllers: ${missing.join(', ')}`,
    meaning: 'limits of these are refused, and without pids a step may start processes without end',
    remedy,
  }
}
