import { type ControlGroup, openControlGroup, removeControlGroup } from '../exec/control-group.ts'
import type { Finding } from './finding.ts'

/** Makes a group as a step gets it, and takes it away. @param note path of a file that may be written meanwhile */
export async function checkControlGroups(note: string): Promise<Finding> {
  let group: ControlGroup | undefined
  try {
    group = openControlGroup('/slipway', 'doctor', note)
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
  if (group.countsPids)
    return { subject, state: 'good', found: 'memory, processors and processes of a step can be limited' }
  return {
    subject,
    state: 'limited',
    found: 'without the controller of processes',
    meaning: 'nothing stops a step that starts processes without end',
    remedy: 'boot with cgroup_enable=pids',
  }
}
