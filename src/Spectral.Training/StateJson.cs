using System.Text.Json.Serialization;

namespace Spectral.Training;

/// <summary>What <see cref="TrainerState"/> keeps as JSON, serialised by generated code: no reflection.</summary>
[JsonSourceGenerationOptions(
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals // a model that has diverged scores NaN
)]
[JsonSerializable(typeof(TrainerState.Contents))]
[JsonSerializable(typeof(Trainer.SavedRun))]
internal sealed partial class StateJson : JsonSerializerContext;
