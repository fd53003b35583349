// The npm package @divviup/prio3 as a peer of benchmarks.prio3 (VDAF-08, an older wire format with the same work to do).
// It runs in a folder where that package is installed. It reads one order a line, a case and a number of reports, and
// answers with microseconds of processor time a report.
import { createRequire } from "node:module";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const entry = createRequire(process.cwd() + "/").resolve("@divviup/prio3");
const { Prio3Count, Prio3Histogram, Prio3Sum, Prio3SumVec } = await import(pathToFileURL(entry));
const cases = {
    Count: [new Prio3Count({ shares: 2 }), true],
    "Sum 8-bit": [new Prio3Sum({ shares: 2, bits: 8 }), 100],
    "Histogram 10": [new Prio3Histogram({ shares: 2, length: 10, chunkLength: 3 }), 4],
    "Histogram 100": [new Prio3Histogram({ shares: 2, length: 100, chunkLength: 10 }), 4],
    "SumVec 1000": [new Prio3SumVec({ shares: 2, length: 1000, bits: 1, chunkLength: 31 }), Array(1000).fill(1)],
};
const key = randomBytes(16);
for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    const [prio3, measurement] = cases[order.case];
    const spent = { shard: 0, leader: 0, helper: 0 };
    const timed = async (name, work) => {
        const begun = process.cpuUsage();
        const result = await work();
        const used = process.cpuUsage(begun);
        spent[name] += used.user + used.system;
        return result;
    };
    for (let i = 0; i < order.reports; ++i) {
        const nonce = randomBytes(16);
        const rand = randomBytes(prio3.randSize);
        const { publicShare, inputShares } = await timed("shard", () => prio3.shard(measurement, nonce, rand));
        for (const [j, name] of ["leader", "helper"].entries())
            await timed(name, () => prio3.prepareInit(key, j, null, nonce, publicShare, inputShares[j]));
    }
    for (const name of Object.keys(spent)) spent[name] /= order.reports;
    console.log(JSON.stringify(spent));
}
