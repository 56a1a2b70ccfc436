using System.Text.RegularExpressions;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// The factors of all experts of a layer in one A [E·r, in] and one B [out, r·E], as PEFT keeps them for
/// target_parameters: row e·r + ρ of A and column ρ·E + e of B belong to direction ρ of expert e. Of two adapted
/// parameters of a module the inner one, gate_up_proj, is under <c>base_layer</c>.
/// </summary>
/// <remarks>
/// The rows of gate and up are one parameter, whose LoRA has one A for both. Here each has an A of its own; files have
/// them below each other, at twice the rank, with B in two diagonal blocks, as PEFT converts adapters of single
/// experts.
/// </remarks>
internal static partial class ExpertStacks
{
    private const string Inner = "base_layer.";
    private const string GateUp = "gate_up_proj";
    private const string AllGates = @".*\.gate_up_proj";

    /// <summary>Returns whether a target or a pattern is of gate and up.</summary>
    public static bool IsOfGates(string pattern) => pattern.EndsWith(GateUp, StringComparison.Ordinal);

    /// <summary>Returns the settings for a file, where gate and up are one parameter of twice the rank.</summary>
    public static AdapterOptions WithDoubleGates(AdapterOptions options)
    {
        double factor = options.RankStabilized ? Math.Sqrt(2) : 2;
        return options with
        {
            RankPattern =
            [
                .. options.RankPattern.Select(pair => IsOfGates(pair.Key) ? new(pair.Key, 2 * pair.Value) : pair),
                new(AllGates, 2 * options.Rank),
            ],
            AlphaPattern =
            [
                .. options.AlphaPattern.Select(pair => IsOfGates(pair.Key) ? new(pair.Key, factor * pair.Value) : pair),
                new(AllGates, factor * options.Alpha),
            ],
        };
    }

    /// <summary>Returns the settings of single experts from those of such a file.</summary>
    public static AdapterOptions WithHalfGates(AdapterOptions options, bool isStabilized)
    {
        double factor = isStabilized ? Math.Sqrt(2) : 2;
        return options with
        {
            RankPattern =
            [
                .. options
                    .RankPattern.Where(pair => pair.Key != AllGates)
                    .Select(pair => IsOfGates(pair.Key) ? new(pair.Key, pair.Value / 2) : pair),
            ],
            AlphaPattern =
            [
                .. options
                    .AlphaPattern.Where(pair => pair.Key != AllGates)
                    .Select(pair => IsOfGates(pair.Key) ? new(pair.Key, pair.Value / factor) : pair),
            ],
        };
    }

    /// <summary>Replaces the tensors of all experts by those of single ones.</summary>
    /// <exception cref="InputException">A tensor is no stack of equal parts.</exception>
    public static IEnumerable<AdapterTensor> TakeApart(IEnumerable<AdapterTensor> tensors, AdapterConfig config)
    {
        foreach (AdapterTensor tensor in tensors)
        {
            Match match = Stacked().Match(AdapterFolder.WithoutPrefix(tensor.Key, out _));
            if (!match.Success)
            {
                yield return tensor;
                continue;
            }
            foreach (AdapterTensor part in Parts(tensor, match, config))
                yield return part;
        }
    }

    /// <summary>Returns the tensors of layers of which some are parts of adapted parameters.</summary>
    /// <param name="modules">The layers that the options name as parameters.</param>
    /// <param name="values">Returns the values of a factor of a layer, [r, in] or [out, r].</param>
    /// <exception cref="InputException">The experts of a layer differ in rank, or some have no adapter.</exception>
    public static IEnumerable<TensorToWrite> Stack(
        IReadOnlyList<AdaptedModule> modules,
        Func<AdaptedModule, string, (Kernels.Shape Shape, Func<float[]> Values)> values
    )
    {
        ILookup<string, AdaptedModule> places = modules.ToLookup(module =>
            ExpertParameters.Place(module.Shape.Name)!.Value.Parameter
        );
        foreach (IGrouping<string, AdaptedModule> stack in places)
        {
            string module = stack.Key[..stack.Key.LastIndexOf('.')];
            bool isInner = IsOfGates(stack.Key) && places.Contains(module + ".down_proj");
            AdaptedModule[] ordered = [.. stack.OrderBy(part => Order(part.Shape.Name))];
            int perExpert = IsOfGates(stack.Key) ? 2 : 1;
            int rank = values(ordered[0], LoraNames.A).Shape[0];
            int experts = ordered.Length / perExpert;
            if (
                ordered.Length % perExpert != 0
                || ordered.Where((part, i) => Order(part.Shape.Name) != 2 * (i / perExpert) + i % perExpert).Any()
                || ordered.Any(part => values(part, LoraNames.A).Shape[0] != rank)
            )
            {
                throw new InputException(
                    $"--target-parameters: {stack.Key}: expected factors of one rank for all experts, as files hold "
                        + "them in one tensor"
                );
            }

            ModuleShape shape = ordered[0].Shape;
            int whole = rank * perExpert;
            string key = module + "." + (isInner ? Inner : "");
            yield return TensorToWrite.Floats(
                AdapterFolder.KeyOf(key.TrimEnd('.'), LoraNames.A),
                StoredType.F32,
                [experts * whole, shape.In],
                () => [.. ordered.SelectMany(part => values(part, LoraNames.A).Values())]
            );
            yield return TensorToWrite.Floats(
                AdapterFolder.KeyOf(key.TrimEnd('.'), LoraNames.B),
                StoredType.F32,
                [perExpert * shape.Out, experts * whole],
                () => Left([.. ordered.Select(part => values(part, LoraNames.B).Values())], shape.Out, rank, perExpert)
            );
        }
    }

    private static int Order(string module) =>
        ExpertParameters.Place(module) is { } place ? (2 * place.Expert) + (place.IsUp ? 1 : 0) : -1;

    // Part p of expert e fills rows p·out to (p + 1)·out at directions p·r to (p + 1)·r.
    private static float[] Left(float[][] parts, int outputs, int rank, int perExpert)
    {
        int experts = parts.Length / perExpert;
        int columns = experts * perExpert * rank;
        float[] stack = new float[perExpert * outputs * columns];
        for (int i = 0; i < parts.Length; i++)
        {
            (int expert, int part) = Math.DivRem(i, perExpert);
            for (int row = 0; row < outputs; row++)
            {
                for (int r = 0; r < rank; r++)
                {
                    int at = (part * rank + r) * experts + expert;
                    stack[(part * outputs + row) * columns + at] = parts[i][row * rank + r];
                }
            }
        }
        return stack;
    }

    private static IEnumerable<AdapterTensor> Parts(AdapterTensor tensor, Match match, AdapterConfig config)
    {
        string experts = match.Groups["experts"].Value;
        bool hasGates = IsTargeted(experts + "." + GateUp);
        bool hasDown = IsTargeted(experts + ".down_proj");
        bool isInner = match.Groups["inner"].Success;
        bool isGate = hasGates && (!hasDown || isInner);
        if (!(hasGates || hasDown) || (isInner && !(hasGates && hasDown)))
        {
            throw new InputException(
                $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} is of experts' parameters that "
                    + "target_parameters does not name"
            );
        }

        string parameter = experts + (isGate ? "." + GateUp : ".down_proj");
        int own = config.Options.For($"{experts}.0.{(isGate ? "gate_proj" : "down_proj")}").Rank;
        bool apart = isGate && config.KeepsGatesApart;
        int rank = own * (apart ? 2 : 1) * (config.IncludesStart ? 2 : 1);
        bool isRight = match.Groups["leaf"].Value == "lora_A";
        long stacked = tensor.Shape.Count == 2 ? tensor.Shape[isRight ? 0 : 1] : 0;
        if (rank < 1 || stacked == 0 || stacked % rank != 0 || (isGate && !isRight && tensor.Shape[0] % 2 != 0))
        {
            throw new InputException(
                $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} is {InputText.Shape([.. tensor.Shape])}, "
                    + $"expected factors of rank {rank} of each expert of {parameter}"
            );
        }

        int count = (int)(stacked / rank);
        Lazy<float[]> values = new(tensor.ToFloats);
        string[] names = isGate ? ["gate_proj", "up_proj"] : ["down_proj"];
        for (int expert = 0; expert < count; expert++)
        {
            for (int half = 0; half < names.Length; half++)
            {
                (int e, int from) = (expert, apart ? half * rank / 2 : 0);
                int kept = apart ? rank / 2 : rank;
                long rows = isRight ? kept : tensor.Shape[0] / names.Length;
                int start = isRight ? 0 : half * (int)rows;
                yield return new AdapterTensor(
                    tensor.Path,
                    tensor.Name,
                    tensor.Type,
                    isRight ? [kept, tensor.Shape[1]] : [rows, kept],
                    isRight ? () => Right(e, from, kept) : () => LeftOf(e, from, kept, start, (int)rows)
                )
                {
                    Key = AdapterFolder.KeyOf($"{experts}.{expert}.{names[half]}", isRight ? LoraNames.A : LoraNames.B),
                };
            }
        }

        bool IsTargeted(string name) =>
            config.Options.TargetParameters.Any(target => ExpertParameters.Matches(target, name));

        float[] Right(int expert, int from, int kept)
        {
            int width = (int)tensor.Shape[1];
            return values.Value.AsSpan((expert * rank + from) * width, kept * width).ToArray();
        }

        float[] LeftOf(int expert, int from, int kept, int start, int rows)
        {
            float[] part = new float[rows * kept];
            int width = (int)tensor.Shape[1];
            for (int row = 0; row < rows; row++)
            {
                for (int r = 0; r < kept; r++)
                    part[row * kept + r] = values.Value[(start + row) * width + (from + r) * count + expert];
            }
            return part;
        }
    }

    [GeneratedRegex(
        @"\A(?<experts>.*\.experts)(?:\.(?<inner>base_layer))?\.(?<leaf>lora_[AB])(?:\.[^.]+)?\.weight\z",
        RegexOptions.CultureInvariant
    )]
    private static partial Regex Stacked();
}
