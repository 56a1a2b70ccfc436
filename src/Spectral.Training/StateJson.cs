using System.Text.Json.Serialization;

namespace Spectral.Training;

/// <summary>Serialises the JSON parts of <see cref="TrainerState"/> by generated code, without reflection.</summary>
[JsonSourceGenerationOptions(
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals // a model that has diverged scores NaN
)]
[JsonSerializable(typeof(TrainerState.Contents))]
[JsonSerializable(typeof(Trainer.SavedRun))]
internal sealed partial class StateJson : JsonSerializerContext;
