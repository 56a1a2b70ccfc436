using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Building;

/// <summary>Chooses entries among those of several layers together.</summary>
internal static class LargestOfAll
{
    /// <summary>
    /// Returns, for each layer, the places of its entries among the largest by magnitude of all layers, ascending. Of
    /// equal ones the first count, in the order of the layers. Waits for the device.
    /// </summary>
    /// <param name="scores">The scores of each layer, F32 of any shape.</param>
    /// <param name="count">The number of entries over all layers; all, if there are fewer.</param>
    public static int[][] Find(IReadOnlyList<Tensor> scores, long count)
    {
        // Those of one layer are among its own largest, as many as are wanted.
        var candidates = new List<(float Size, int Layer, int Place)>();
        for (int layer = 0; layer < scores.Count; layer++)
        {
            Tensor of = scores[layer];
            int most = checked((int)Math.Min(count, of.Count));
            if (most == 0)
                continue;
            using var places = Tensor.Empty(of.Device, most, DType.I32);
            using var values = Tensor.Empty(of.Device, most);
            LargestEntries.Find(of, places);
            Entries.Gather(of, places, values);
            int owner = layer;
            candidates.AddRange(
                values.ToArray().Zip(places.ToInt32Array(), (value, place) => (Math.Abs(value), owner, place))
            );
        }

        ILookup<int, int> chosen = candidates
            .OrderByDescending(candidate => candidate.Size)
            .Take((int)Math.Min(count, int.MaxValue))
            .ToLookup(candidate => candidate.Layer, candidate => candidate.Place);
        return [.. Enumerable.Range(0, scores.Count).Select(layer => (int[])[.. chosen[layer].Order()])];
    }
}
