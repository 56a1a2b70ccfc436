using System.Globalization;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// Deduces the sizes of an adapter's layers without its model: the sizes for which the method declares exactly the
/// stored tensors.
/// </summary>
internal static class ModuleSizes
{
    private const int Size = 1 << 14;

    /// <summary>
    /// Returns sample layers of a size that suits every setting. A method declares tensors of the same names for them
    /// as for others.
    /// </summary>
    public static IReadOnlyList<ModuleShape> Probes(AdapterMethod method)
    {
        ModelFamily family = ModelFamilies.All[0];
        string[] names =
        [
            family.FeedForwardOutput,
            family.DefaultTargets.First(name => name != family.FeedForwardOutput),
            .. method.AdaptsEmbeddings ? [family.Embedding] : Array.Empty<string>(),
        ];
        return [.. names.Select(name => new ModuleShape(name, Size, Size))];
    }

    // For each kind, pairs of sizes have to be tried. Adapters of real models have only a few.
    private const int MostKinds = 1024;
    private const int MostDimensions = 4;

    private static readonly List<string> Projections = [.. AdapterOptions.AllProjections];

    /// <summary>
    /// Returns the modules with tensors that the config matches, in model order, on which methods may rely.
    /// </summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="tensors">The tensors of the folder.</param>
    /// <param name="isWanted">Returns whether a module is wanted.</param>
    /// <param name="options">Returns the settings of a module.</param>
    /// <exception cref="InputException">The tensors do not determine a layer's size.</exception>
    public static List<ModuleShape> Deduce(
        AdapterFolder folder,
        AdapterTensors tensors,
        Func<string, bool> isWanted,
        Func<string, AdapterOptions> options
    )
    {
        Dictionary<string, (int Out, int In)> known = [];
        List<ModuleShape> modules = [];
        foreach (
            string module in tensors
                .Modules.Where(module => folder.Config.Matches(module) && isWanted(module))
                .OrderBy(Place)
        )
        {
            IReadOnlyDictionary<string, AdapterTensor> stored = tensors.Of(module);
            AdapterOptions settings = options(module);
            IEnumerable<string> named = stored
                .OrderBy(pair => pair.Key, StringComparer.Ordinal)
                .Select(pair => $"{pair.Key} {string.Join(',', pair.Value.Shape)}");
            string shapes = $"{settings.Rank} {string.Join(';', named)}";
            if (!known.TryGetValue(shapes, out (int Out, int In) size))
            {
                if (known.Count == MostKinds)
                {
                    throw new InputException(
                        $"{folder.WeightsPath}: the modules have more than {MostKinds} different sizes; "
                            + "expected the model beside the adapter"
                    );
                }

                known.Add(shapes, size = Deduce(folder, module, stored, settings));
            }
            modules.Add(new ModuleShape(module, size.Out, size.In, HasBias(stored)));
        }
        return modules;
    }

    /// <summary>
    /// Returns the number of a module's layer, the largest for the head, that of the expert in the layer, −1 if it
    /// belongs to none, and the module's place among the others.
    /// </summary>
    private static (int Layer, int Expert, int Place) Place(string module)
    {
        string[] parts = module.Split('.');
        List<int> numbers = [];
        foreach (string part in parts)
        {
            if (int.TryParse(part, CultureInfo.InvariantCulture, out int number))
                numbers.Add(number);
        }
        int place = Projections.IndexOf(parts[^1]);
        return (
            numbers.Count > 0 ? numbers[0] : int.MaxValue,
            numbers.Count > 1 ? numbers[1] : -1,
            place < 0 ? int.MaxValue : place
        );
    }

    private static (int Out, int In) Deduce(
        AdapterFolder folder,
        string module,
        IReadOnlyDictionary<string, AdapterTensor> stored,
        AdapterOptions options
    )
    {
        // No method stores more than three dimensions, but a shape in a file can have thousands.
        int[] sizes =
        [
            .. stored
                .Values.SelectMany(tensor => tensor.Shape.Take(MostDimensions))
                .Where(size => size is >= 1 and <= int.MaxValue)
                .Select(size => (int)size)
                .Distinct(),
        ];
        List<(int Out, int In)> found = [];
        foreach (int outputs in sizes)
        {
            foreach (int inputs in sizes)
            {
                if (Fits(folder.Config, new ModuleShape(module, outputs, inputs, HasBias(stored)), options, stored))
                    found.Add((outputs, inputs));
            }
        }

        if (found.Count == 1)
            return found[0];
        IEnumerable<string> shapes = stored.Select(pair => $"{pair.Key} {InputText.Shape([.. pair.Value.Shape])}");
        throw new InputException(
            $"{folder.WeightsPath}: the tensors of {InputText.Quote(module)} "
                + $"({string.Join(", ", shapes)}) "
                + (
                    found.Count == 0
                        ? $"are not those of any layer that {folder.Config.Method.Name} with these settings has"
                        : "do not say how large the layer is"
                )
                + "; expected the model beside the adapter"
        );
    }

    // An adapter says nothing of a layer's bias unless it trains it.
    private static bool HasBias(IReadOnlyDictionary<string, AdapterTensor> stored) =>
        stored.ContainsKey(AdapterTensors.WrappedBias);

    private static bool Fits(
        AdapterConfig config,
        ModuleShape shape,
        AdapterOptions options,
        IReadOnlyDictionary<string, AdapterTensor> stored
    )
    {
        try
        {
            StoredTensor[] declared =
            [
                .. AdaptedModule
                    .Describe(config.Method, [(shape, options)])[0]
                    .Stored(config.LacksStart)
                    .Where(tensor => !tensor.IsShared),
            ];
            return stored.Keys.All(name => Array.Exists(declared, tensor => tensor.Name == name))
                && Array.TrueForAll(
                    declared,
                    tensor =>
                        stored.TryGetValue(tensor.Name, out AdapterTensor? found)
                            ? found.Shape.SequenceEqual(tensor.Shape.Dimensions())
                            : tensor.MayBeAbsent
                );
        }
        catch (InputException)
        {
            return false;
        }
    }
}
