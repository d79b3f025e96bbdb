// How much each of many may do: a bucket for each, which holds `most` and fills by `perSecond`. In memory: who empties one keeps the
// object awake. Pure but for that.
const NAMES = 10_000;

export class Buckets {
  private readonly buckets = new Map<string, { at: number; left: number }>();
  constructor(
    private readonly most: number,
    private readonly perSecond: number,
  ) {}

  // 0: it is taken. Else nothing is, and it is worth another try in so many seconds.
  take(name: string, amount: number, now: number): number {
    const left = this.leftOf(name, now);
    if (left < amount) return Math.max(1, Math.ceil((Math.min(amount, this.most) - left) / this.perSecond));
    if (this.buckets.size >= NAMES) for (const each of [...this.buckets.keys()]) if (this.leftOf(each, now) === this.most) this.buckets.delete(each);
    this.buckets.set(name, { at: now, left: left - amount });
    return 0;
  }

  private leftOf(name: string, now: number): number {
    const bucket = this.buckets.get(name);
    if (bucket === undefined) return this.most;
    return Math.min(this.most, bucket.left + (Math.max(0, now - bucket.at) / 1000) * this.perSecond);
  }
}
