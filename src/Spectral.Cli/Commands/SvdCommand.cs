using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Quantization;

namespace Spectral.Cli.Commands;

internal sealed class SvdCommand : SpectralCommand
{
    private readonly Option<string?> _file = OptionTypes.Path("--file", "Safetensors file to read.", "FILE");
    private readonly Option<string?> _model = OptionTypes.Path(
        "--model",
        "Model folder to read, instead of --file.",
        "DIR"
    );
    private readonly Option<string?> _tensor = OptionTypes.OptionalText(
        "--tensor",
        "A single 2-D tensor. [default: all 2-D tensors]",
        "NAME"
    );
    private readonly Option<int> _rank = OptionTypes.Integer("--rank", "Number of singular triplets to compute.", 0, 1);
    private readonly Option<int> _oversample = OptionTypes.Integer(
        "--oversample",
        "Additional random directions to sample.",
        16,
        0,
        4096
    );
    private readonly Option<int> _powerIterations = OptionTypes.Integer(
        "--power-iterations",
        "Power iterations, each of which reads the matrix twice and makes the result more accurate. With 4 or more, "
            + "further ones follow, up to 32, until the singular values change by less than about 1 % of the largest; "
            + "only matrices with a nearly flat spectrum need them.",
        4,
        0,
        1000
    );
    private readonly Option<ulong> _seed = OptionTypes.Seed("Random seed for the test matrix.");
    private readonly Option<string> _output = OptionTypes.RequiredPath(
        "--out",
        "Safetensors file for NAME.U, NAME.S and NAME.Vt.",
        "FILE"
    );
    private readonly Option<bool> _overwrite = OptionTypes.Flag("--overwrite", "Replace an existing --out.");
    private readonly QuantizeOption _quantize = new();
    private readonly DeviceOptions _device = new();

    public SvdCommand()
        : base(
            "svd",
            "Computes the leading singular triplets of matrices by randomized SVD.",
            "spectral svd --model base-model --tensor model.layers.0.self_attn.q_proj.weight --rank 16 "
                + "--out q.safetensors",
            "spectral svd --file weights.safetensors --rank 32 --oversample 10 --power-iterations 2 "
                + "--out svd.safetensors --json"
        )
    {
        Details =
            "On a GPU, tensors of the same shape are decomposed together, and the time shown for each is its share. "
            + "residual_bound is an upper bound on the norm of the residual, estimated with ten random vectors; it "
            + "holds with probability 1 - 1e-10 and is often several times the norm.";
        _rank.Required = true;
        _rank.DefaultValueFactory = null;
        AddOptions([
            _file,
            _model,
            _tensor,
            _rank,
            _oversample,
            _powerIterations,
            _seed,
            _output,
            _overwrite,
            .. _quantize.All,
            .. _device.All,
        ]);
    }

    public override void Execute(CommandContext context)
    {
        string? fromFile = context.Get(_file);
        string? fromModel = context.Get(_model);
        if (fromFile is null == fromModel is null)
            throw new InputException("--file FILE, --model DIR: expected exactly one of the two");
        using SafetensorsFile? weights = fromFile is null ? null : SafetensorsFile.Open(fromFile);
        BaseQuantization? quantization = _quantize.Read(context);
        if (fromFile is not null)
            context.RefuseWithout("--model DIR", _quantize.All);
        using ModelFolder? folder = fromModel is null ? null : context.OpenModel(fromModel, quantization: quantization);
        List<SafetensorsTensor> chosen = Choose(
            weights is not null ? weights.Tensors.Values : folder!.TensorNames.Select(name => folder[name]),
            fromFile ?? fromModel!,
            context.Get(_tensor),
            context.Get(_rank)
        );
        using var target = new OutputFile(
            "--out",
            context.Get(_output),
            context.Get(_overwrite),
            fromFile ?? fromModel!
        );
        target.Claim();

        using Device computing = _device.Open(context);
        DType type = _device.TypeOn(computing, context);
        var options = new RandomizedSvdOptions
        {
            Oversample = context.Get(_oversample),
            PowerIterations = context.Get(_powerIterations),
            Seed = context.Get(_seed),
        };
        WarmUp(computing, type);
        using var factors = new SvdFactors(
            chosen,
            folder,
            computing,
            type,
            context.Get(_rank),
            options,
            context.Cancellation
        );
        context.Terminal.Track(
            "svd",
            chosen.Count,
            progress =>
            {
                factors.Decomposed += (count, last) => progress.Report(count, last, notable: true);
                SafetensorsWriter.Write(target.FullPath, factors.ToWrite());
                return true;
            }
        );
        JsonArray rows = factors.Rows();
        var result = new JsonObject
        {
            ["tensors"] = rows,
            ["device"] = computing.ToString(),
            ["out"] = target.FullPath,
        };
        context.Finish(
            result,
            terminal =>
            {
                terminal.Table(["tensor", "shape", "time", "residual bound"], [.. rows.Select(row => Row(row!))]);
                terminal.Line($"wrote {target.FullPath}");
            }
        );
    }

    private static string[] Row(JsonNode row) =>
        [
            row["name"]!.ToString(),
            row["shape"]!.ToJsonString(),
            string.Create(CultureInfo.InvariantCulture, $"{(double?)row["seconds"]:0.0000} s"),
            string.Create(CultureInfo.InvariantCulture, $"{(double?)row["residual_bound"]:g4}"),
        ];

    /// <summary>Returns the tensors to decompose, in order of name, and checks them before any is read.</summary>
    private static List<SafetensorsTensor> Choose(
        IEnumerable<SafetensorsTensor> tensors,
        string source,
        string? wanted,
        int rank
    )
    {
        List<SafetensorsTensor> all = [.. tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal)];
        List<SafetensorsTensor> chosen = wanted is null
            ? all.FindAll(tensor => tensor.Shape.Count == 2 && tensor.Type.IsFloat())
            : all.FindAll(tensor => tensor.Name == wanted);
        if (chosen.Count == 0)
        {
            throw new InputException(
                wanted is null
                    ? $"{source}: expected at least one 2-D tensor of floats"
                    : $"--tensor \"{wanted}\": not in {source}; expected one of its {all.Count} tensors"
            );
        }

        foreach (SafetensorsTensor tensor in chosen)
        {
            string shape = $"[{string.Join(", ", tensor.Shape)}]";
            if (tensor.Shape.Count != 2 || !tensor.Type.IsFloat())
            {
                throw new InputException(
                    $"{tensor.Path}: tensor {tensor.Name} is {tensor.Type.HeaderName()} {shape}; expected "
                        + "a 2-D tensor of floats"
                );
            }

            if (tensor.Count > Array.MaxLength)
            {
                throw new InputException(
                    $"{tensor.Path}: tensor {tensor.Name} is {shape}; expected at most {Array.MaxLength} elements"
                );
            }

            if (rank > Math.Min(tensor.Shape[0], tensor.Shape[1]))
            {
                throw new InputException(
                    $"--rank {rank}: tensor {tensor.Name} is {shape}; expected a rank of at most "
                        + $"{Math.Min(tensor.Shape[0], tensor.Shape[1])}"
                );
            }
        }
        return chosen;
    }

    /// <summary>
    /// Runs a small decomposition, which loads BLAS, kernels and compiled code, so that the seconds reported are those
    /// of the decomposition alone.
    /// </summary>
    private static void WarmUp(Device device, DType type)
    {
        float[] values = new float[96 * 96];
        for (int i = 0; i < values.Length; i++)
            values[i] = MathF.Sin(i);
        using var matrix = Tensor.From(device, values, (96, 96), type);
        RandomizedSvd.Compute(matrix, 8, new RandomizedSvdOptions()).Dispose();
    }
}
