using System.Runtime.CompilerServices;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Assigns one of d shared numbers to every entry of all layers' factors, A before B layer by layer, as often to each
/// as to any other or once more, in the random order of PEFT's Uni-LoRA.
/// </summary>
internal sealed class BalancedPlaces
{
    // The layers of an adapter ask one after the other, with the same list of all.
    private static readonly ConditionalWeakTable<object, BalancedPlaces> Drawn = [];

    private readonly Dictionary<(string Module, bool IsLeft), (int[] Index, float[] Factors)> _factors = [];
    private readonly (int Rank, int Length, ulong Seed) _of;

    private BalancedPlaces(IReadOnlyList<ModuleShape> modules, int rank, int length, ulong seed)
    {
        _of = (rank, length, seed);
        long all = modules.Sum(module => (long)rank * (module.In + module.Out));
        if (all > int.MaxValue / 2)
            throw new InputException($"rank {rank}: {all} entries of factors, expected at most {int.MaxValue / 2}");
        int[] index = Assigned((int)all, length, seed);
        int[] counts = new int[length];
        foreach (int place in index)
            counts[place]++;
        int at = 0;
        foreach (ModuleShape module in modules)
        {
            Take(module.Name, isLeft: false, rank * module.In);
            Take(module.Name, isLeft: true, rank * module.Out);
        }

        void Take(string module, bool isLeft, int count)
        {
            int[] own = index[at..(at += count)];
            _factors.Add((module, isLeft), (own, Array.ConvertAll(own, place => 1 / MathF.Sqrt(counts[place]))));
        }
    }

    /// <summary>Returns the assignment for all layers of an adapter.</summary>
    /// <param name="layer">The builder of any of them.</param>
    /// <param name="rank">The rank of all.</param>
    /// <param name="length">The number of shared numbers, d.</param>
    /// <param name="seed">The seed of the order.</param>
    /// <exception cref="InputException">There are too many entries.</exception>
    public static BalancedPlaces Of(AdapterBuilder layer, int rank, int length, ulong seed)
    {
        IReadOnlyList<ModuleShape> modules = layer.AllModules;
        if (Drawn.TryGetValue(modules, out BalancedPlaces? drawn) && drawn._of == (rank, length, seed))
            return drawn;
        drawn = new BalancedPlaces(modules, rank, length, seed);
        Drawn.AddOrUpdate(modules, drawn);
        return drawn;
    }

    /// <summary>
    /// Returns the shared number of each entry of a factor, row by row, and what it is multiplied with.
    /// </summary>
    /// <param name="module">The name of the layer.</param>
    /// <param name="isLeft">Whether the factor is B [out, r]; otherwise it is A [r, in].</param>
    public (int[] Index, float[] Factors) Of(string module, bool isLeft) => _factors[(module, isLeft)];

    private static int[] Assigned(int count, int length, ulong seed)
    {
        var generator = new NumpyGenerator(seed);
        (int each, int others) = (count / length, count % length);
        int[] index = new int[count];
        for (int i = 0; i < each * length; i++)
            index[i] = i / each;
        if (others > 0)
            generator.Choose(length, others).CopyTo(index, each * length);
        generator.Shuffle(index);
        return index;
    }
}
