// What --json has written, from one run or from several: of parts of the scenarios, and on several versions of Node.

/**
 * Puts runs together, by version of Node, in the order in which the versions come.
 *
 * @param {object[]} reports
 * @returns {object[]} one for each version
 */
export function mergeReports(reports) {
  const byNode = new Map()
  for (const report of reports) {
    const known = byNode.get(report.node)
    if (known === undefined) {
      byNode.set(report.node, { ...report, scenarios: { ...report.scenarios } })
      continue
    }
    for (const key of ['commit', 'cpu', 'parallelism', 'mode']) {
      if (known[key] !== report[key]) {
        throw new Error(`these runs do not belong together: ${key} is ${known[key]} and ${report[key]}`)
      }
    }
    known.modified ||= report.modified
    // A scenario that was run again stands for what it was before.
    Object.assign(known.scenarios, report.scenarios)
  }
  return [...byNode.values()]
}

/** Measurements that go into one table or chart: of two workers where there are more. */
export function groupsOf({ measurements }) {
  const groups = new Map()
  for (const measured of measurements) {
    if (measured.workers !== undefined && measured.workers !== 2) continue
    const members = groups.get(measured.group)
    if (members === undefined) groups.set(measured.group, [measured])
    else members.push(measured)
  }
  return groups
}

/** The contenders of all of them, in the order in which they come. */
export function contendersOf(measurements) {
  return [...new Set(measurements.flatMap(({ results }) => results.map(({ name }) => name)))]
}

/** The result of a contender, if it took part. */
export function resultIn({ results }, contender) {
  return results.find(({ name }) => name === contender)
}
