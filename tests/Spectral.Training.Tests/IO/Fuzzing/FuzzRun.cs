using System.Diagnostics;
using Spectral.Training.IO;

namespace Spectral.Training.Tests.IO.Fuzzing;

/// <summary>
/// Reads one file again and again, each time damaged in another way. Whatever comes of it, nothing but an <see
/// cref="InputException"/> may come out, soon, and without taking memory for what the file only claims.
/// </summary>
/// <param name="path">The file to damage.</param>
/// <param name="damage">How.</param>
/// <param name="use">Reads it.</param>
internal sealed class FuzzRun(string path, Func<byte[], Random, byte[]> damage, Action use)
{
    /// <summary>Set to 1, has a hundred times as many rounds. A seed of its own makes them other ones.</summary>
    public const string FullVariable = "SPECTRAL_FULL";
    public const string SeedVariable = "SPECTRAL_FUZZ_SEED";

    /// <summary>
    /// What reading may allocate in all, dead objects included, beyond <see cref="BytesPerByte"/> for each byte of the
    /// file: a compiled expression takes some 100 KB, the tensors of a config of a thousand layers are listed at 1 KB
    /// each, and several times; tables of 2¹⁶ entries that a rank may ask for have 256 KB. A claimed size that were
    /// believed would be a thousand times that.
    /// </summary>
    private const long Constant = 32 << 20;

    /// <summary>
    /// A byte of JSON becomes twelve of the parsed document's index at worst, and a char or two of text, on its way
    /// through several steps.
    /// </summary>
    private const long BytesPerByte = 256;

    // Reading takes milliseconds; what runs for two seconds and then gives up (an expression that takes exponential
    // time) is within it, also on a busy machine.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly byte[] _valid = File.ReadAllBytes(path);
    private long _started;
    private long _round;
    private Exception? _failure;

    /// <summary>Whether there is time for a hundred times as many rounds.</summary>
    public static bool IsFull => Environment.GetEnvironmentVariable(FullVariable) == "1";

    /// <summary>
    /// What the last case took from a device, of which it must not take what the file only claims either.
    /// </summary>
    public Func<long> DeviceBytes { get; init; } = () => 0;

    /// <summary>
    /// The share of rounds that may be refused. Below 1, some damage has to pass all checks: of a sparse mask one round
    /// in two hundred does, as its places must be in order.
    /// </summary>
    public double MostRefused { get; init; } = 0.999;

    /// <summary>
    /// Runs so many rounds, more if all are asked for; fails with the seed of the round, and keeps its file.
    /// </summary>
    public void Run(string name, int rounds)
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable(SeedVariable), out int given)
            ? given
            : name.Aggregate(17, (hash, letter) => unchecked((31 * hash) + letter) & 0x3FFFFFFF);
        rounds *= IsFull ? 100 : 1;
        Assert.That(() => use(), Throws.Nothing, $"{name}: the undamaged file");
        (int refused, long most) = (0, 0);
        Volatile.Write(ref _started, Stopwatch.GetTimestamp());
        // Not a task: a round that hangs must be told, not waited for, and no other may start on its thread.
        Thread worker = new(
            () =>
            {
                try
                {
                    for (; _round < rounds; _round++)
                    {
                        (refused, most) = (
                            refused + (Refuses(seed + (int)_round, out long bytes) ? 1 : 0),
                            Math.Max(most, bytes)
                        );
                    }
                }
                catch (Exception e)
                {
                    _failure = e;
                }
            },
            1 << 20
        )
        {
            IsBackground = true,
        };
        worker.Start();
        while (!worker.Join(100))
        {
            if (Stopwatch.GetElapsedTime(Volatile.Read(ref _started)) > Patience)
                Assert.Fail($"{Kept(name, seed)}: still reading after {Patience.TotalSeconds} s");
        }

        File.WriteAllBytes(path, _valid);
        if (_failure is not null)
            Assert.Fail($"{Kept(name, seed)}: {_failure}");
        TestContext.Out.WriteLine(
            $"{name}: {rounds} rounds from seed {seed}, {refused} refused, at most {most >> 10} KB allocated"
        );
        if (rounds >= 50)
        {
            Assert.That(
                (double)refused / rounds,
                Is.InRange(0.1, MostRefused),
                $"{name}: the damage is real, and some of it reaches beyond the parser"
            );
        }
    }

    private bool Refuses(int seed, out long bytes)
    {
        byte[] damaged = damage(_valid, new Random(seed));
        File.WriteAllBytes(path, damaged);
        Volatile.Write(ref _started, Stopwatch.GetTimestamp());
        long before = GC.GetAllocatedBytesForCurrentThread();
        bool refused = false;
        try
        {
            use();
        }
        catch (InputException e)
        {
            refused = true;
            if (e.Message.Contains('\n') || e.Message.Length > 2000)
            {
                throw new InvalidOperationException(
                    "no single line of bearable length: " + e.Message[..Math.Min(e.Message.Length, 4000)],
                    e
                );
            }
        }
        bytes = GC.GetAllocatedBytesForCurrentThread() - before + DeviceBytes();
        return bytes <= Constant + BytesPerByte * damaged.Length
            ? refused
            : throw new InvalidOperationException($"took {bytes} bytes for a file of {damaged.Length}");
    }

    private string Kept(string name, int seed)
    {
        string kept = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"fuzz-{name}-{seed + _round}");
        File.Copy(path, kept, overwrite: true);
        return $"{SeedVariable}={seed + _round} ({kept})";
    }
}
