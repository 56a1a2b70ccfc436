namespace Spectral.Bench.Counting;

/// <summary>How much of a kernel a multiprocessor holds at once.</summary>
/// <param name="Blocks">Resident blocks, at least 1.</param>
/// <param name="Percent">Their warps, of those that a multiprocessor can hold.</param>
/// <param name="By">What leaves no room for more: registers, threads, shared memory or the number of blocks.</param>
/// <param name="KnowsRegisters">Whether ptxas said how many registers a thread has; else they may leave less.</param>
internal readonly record struct Occupancy(long Blocks, double Percent, string By, bool KnowsRegisters);
