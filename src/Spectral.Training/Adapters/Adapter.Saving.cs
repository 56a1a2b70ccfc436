using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters;

/// <content>Saves an adapter.</content>
public sealed partial class Adapter
{
    /// <summary>
    /// Checks that files can store everything about the adapter, as <see cref="Save"/> does. Call it before training to
    /// learn of a problem early.
    /// </summary>
    /// <exception cref="InputException">A setting would be lost; the message names the option.</exception>
    public void RequireSavable() => Describe(OpenModules());

    /// <summary>
    /// Writes <c>adapter_config.json</c> and <c>adapter_model.safetensors</c> (F32, places of entries I32) into a
    /// folder, each atomically.
    /// </summary>
    /// <exception cref="InputException">A setting would be lost, or a value is not finite.</exception>
    public void Save(string directory)
    {
        AdaptedModule[] modules = OpenModules();
        // PEFT's types carry no digests: its older versions refuse a config with keys they do not know.
        AdapterConfig config = Describe(modules) with
        {
            BaseTensorSha256 = Method.PeftFields is null
                ? _baseDigests ??= BaseDigests()
                : new Dictionary<string, string>(),
        };
        var tensors = new Dictionary<string, TensorToWrite>();
        AdaptedModule[] experts = [.. modules.Where(IsOfExperts)];
        foreach (TensorToWrite stack in ExpertStacks.Stack(experts, FactorOf))
            tensors.Add(stack.Name, stack);
        foreach (AdaptedModule module in modules.Except(experts))
        {
            string path = Options.TargetsParameterOf(module.Shape.Name)
                ? ModelTensors.ModuleOf(ExpertParameters.Of(module.Shape.Name))
                : module.Shape.Name;
            foreach (StoredTensor stored in module.Stored(lacksStart: false))
            {
                string name = stored.IsShared
                    ? AdapterFolder.SharedKeyOf(stored.Name)
                    : AdapterFolder.KeyOf(path, stored.Name);
                tensors.TryAdd(name, stored.ToWrite(name));
            }
        }

        if ((_beside ?? _modules[0]).Form.VirtualTokens is { } made)
        {
            // Also of a network that files do not hold.
            string name = AdapterFolder.KeyOf(PromptMethod.Module, PromptMethod.TensorName);
            long[] size = made.Shape.Dimensions();
            tensors[name] = TensorToWrite.Floats(name, StoredType.F32, size, () => made.Value.ToArray());
        }

        foreach ((SavedTensor tensor, Optim.Parameter parameter) in _factors.Saved)
        {
            string name = tensor.KeyOf(isAdapted: _modules.Any(module => module.Shape.Name == tensor.Module));
            long[] shape = tensor.Shape.Dimensions();
            tensors.Add(name, TensorToWrite.Floats(name, StoredType.F32, shape, parameter.Master.ToArray));
        }
        AdapterFolder.Write(directory, config, [.. tensors.Values, .. Copies()]);
    }

    private bool IsOfExperts(AdaptedModule module) =>
        Options.TargetsParameterOf(module.Shape.Name) && ExpertParameters.Place(module.Shape.Name) is not null;

    private static (Kernels.Shape Shape, Func<float[]> Values) FactorOf(AdaptedModule module, string name)
    {
        StoredTensor stored = module.Stored(lacksStart: false).First(tensor => tensor.Name == name);
        return (stored.Shape, stored.Read);
    }

    /// <summary>
    /// Checks that the factors of experts are those that PEFT keeps for parameters, A and B of a plain LoRA.
    /// </summary>
    private void RequireStackable(AdaptedModule[] modules)
    {
        if (Options.TargetParameters.Count == 0)
            return;
        foreach (AdaptedModule module in modules.Where(module => Options.TargetsParameterOf(module.Shape.Name)))
        {
            string[] names = [.. module.Stored(lacksStart: false).Select(stored => stored.Name)];
            if (names.Length != 2 || names.Except([LoraNames.A, LoraNames.B]).Any())
            {
                throw new InputException(
                    $"--target-parameters: {Method.Name} has other factors than those of lora, for which PEFT's files "
                        + "of parameters have no place; expected --adapter lora"
                );
            }
        }
        if (Options.Dropout > 0)
        {
            throw new InputException(
                FormattableString.Invariant($"--dropout {Options.Dropout}: expected 0 with --target-parameters, as in ")
                    + "PEFT"
            );
        }
    }

    /// <summary>Returns the copies that PEFT stores for a head that follows the embedding.</summary>
    private IEnumerable<TensorToWrite> Copies()
    {
        if (_head is { Form.Terms: [var term] })
        {
            return TiedHead.Copies(
                _head.Shape,
                term.Rank,
                StoredType.F32,
                term.Right.Value.ToArray,
                term.Left.Value.ToArray
            );
        }

        return _factors
            .Saved.Where(pair => _headFollows && pair.Key is { IsEmbedding: true, Tokens: null, Trains: true })
            .Select(pair => TiedHead.Copy(pair.Key, StoredType.F32, pair.Value.Master.ToArray));
    }

    /// <summary>
    /// Returns the modules that files hold: all but those that the method has closed. A closed one is kept for its
    /// trained bias, or because no other is left and files without modules are refused.
    /// </summary>
    private AdaptedModule[] OpenModules()
    {
        AdaptedModule[] open = [.. _modules.Where(module => module.TrainsBias || !Method.IsClosed(module))];
        return open.Length > 0 ? open : _modules[..1];
    }

    /// <summary>
    /// Creates the config for the files, without digests of the base, and checks that it keeps every setting.
    /// </summary>
    private AdapterConfig Describe(AdaptedModule[] modules)
    {
        RequireStackable(modules);
        AdapterOptions options =
            modules.Length == _modules.Length
                ? Options
                : Options with
                {
                    TargetModules = [.. modules.Select(module => module.Shape.Name)],
                };
        AdapterConfig config = AdapterConfig.Of(Method, options, modules) with
        {
            BaseModel = _baseModel,
            BaseForm = _model.WeightForm,
            TaskType = _model.Config.Classifier switch
            {
                null => "CAUSAL_LM",
                { Kind: ClassifierKind.Tokens } => "TOKEN_CLS",
                _ => "SEQ_CLS",
            },
        };
        KeptOptions.Require(
            config,
            modules,
            Method is PromptMethod ? [] : _model.Adaptable.Select(linear => linear.Name)
        );
        return config with { SoftPrompt = DescribePrompt() };
    }

    /// <summary>Creates the config of the soft prompt beside the layers, and checks that it keeps all.</summary>
    private AdapterConfig? DescribePrompt()
    {
        if (_beside is null)
            return null;
        SoftPrompt prompt = Method.PromptBeside(Options)!;
        AdapterConfig config = AdapterConfig.Of(prompt.Method, prompt.Options, [_beside]) with
        {
            BaseModel = _baseModel,
        };
        KeptOptions.Require(config, [_beside], []);
        return config;
    }

    private Dictionary<string, string> BaseDigests()
    {
        if (_model.Path is null)
            return [];
        using var folder = ModelFolder.Open(_model.Path);
        return _modules.Select(module => $"{module.Shape.Name}.weight").ToDictionary(name => name, folder.Sha256);
    }
}
